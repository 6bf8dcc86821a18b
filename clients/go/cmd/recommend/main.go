// Command recommend prints movies for a user: go run ./cmd/recommend [-address host:port] [-n 5] [-timeout 2s] 418
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"movie-recommender/clients/go/recommenderv1"
)

// A call is made again if the recommender cannot be reached or refuses it under load, and gRPC itself refuses with
// CANCELLED. Every RPC may be repeated.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "recommender.v1.RecommenderService"}],
    "retryPolicy": {
      "maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 3,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"]
    }
  }]
}`

func main() {
	log.SetFlags(0)
	address := flag.String("address", "localhost:50051", "host:port of the recommender")
	limit := flag.Int("n", 5, "how many movies")
	timeout := flag.Duration("timeout", 2*time.Second, "how long to wait for the answer")
	flag.Parse()
	userID, err := strconv.ParseInt(flag.Arg(0), 10, 64)
	if err != nil {
		log.Fatalf("usage: recommend [-address host:port] [-n 5] [-timeout 2s] USER_ID; got %q as the user's id", flag.Arg(0))
	}
	if err := recommend(*address, userID, int32(*limit), *timeout); err != nil {
		explain(err)
		os.Exit(1)
	}
}

func recommend(address string, userID int64, limit int32, timeout time.Duration) error {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	client := recommenderv1.NewRecommenderServiceClient(connection)
	answer, err := client.Recommend(ctx, &recommenderv1.RecommendRequest{UserId: &userID, Limit: limit})
	if err != nil {
		return err
	}
	for _, scored := range answer.Movies {
		fmt.Printf("%.3f  %s\n", scored.Score, scored.Movie.Title)
	}
	return nil
}

// explain prints the status of a failed call and, if the request is at fault, the field.
func explain(err error) {
	failure := status.Convert(err)
	log.Printf("error: %s: %s", failure.Code(), failure.Message())
	for _, detail := range failure.Details() {
		if request, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range request.FieldViolations {
				log.Printf("  %s: %s", violation.Field, violation.Description)
			}
		}
	}
}
