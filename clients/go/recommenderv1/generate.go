// Package recommenderv1 is the API of the recommender, generated from its .proto file.
package recommenderv1

// protoc comes with the development environment of the repository, the plugins with this module.
//go:generate sh -c "../../../.venv/bin/python -m grpc_tools.protoc -I../../.. -I../../../protos/third_party --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=../../.. --go-grpc_out=../../.. --go_opt=module=movie-recommender --go-grpc_opt=module=movie-recommender protos/recommender/v1/recommender.proto"
