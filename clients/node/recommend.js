// Prints movies for a user: node recommend.js USER_ID [ADDRESS]
// RECOMMENDER_TIMEOUT_MS is how long it waits for the answer, 2000 by default.
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [userId, address = 'localhost:50051'] = process.argv.slice(2);
if (!/^\d+$/.test(userId || '')) {
  console.error(`usage: node recommend.js USER_ID [ADDRESS]; got ${JSON.stringify(userId)} as the user's id`);
  process.exit(2);
}

const timeoutMs = Number(process.env.RECOMMENDER_TIMEOUT_MS ?? '2000');
if (!(timeoutMs > 0)) {
  console.error(`RECOMMENDER_TIMEOUT_MS: expected milliseconds above 0, got ${process.env.RECOMMENDER_TIMEOUT_MS}`);
  process.exit(2);
}

const root = path.join(__dirname, '../..');
const definition = loader.loadSync('protos/recommender/v1/recommender.proto', {
  includeDirs: [root, path.join(root, 'protos/third_party')],
  keepCase: true, // fields are named as in the .proto: user_id
  longs: String, // ids may be larger than what a JavaScript number holds
  enums: String,
});
const { RecommenderService } = grpc.loadPackageDefinition(definition).recommender.v1;

// A call is made again if the recommender cannot be reached or refuses it under load, and gRPC itself refuses with
// CANCELLED. Every RPC may be repeated.
const serviceConfig = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [{
    name: [{ service: 'recommender.v1.RecommenderService' }],
    retryPolicy: {
      maxAttempts: 5,
      initialBackoff: '0.1s',
      maxBackoff: '2s',
      backoffMultiplier: 3,
      retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'CANCELLED'],
    },
  }],
};
const client = new RecommenderService(address, grpc.credentials.createInsecure(), {
  'grpc.service_config': JSON.stringify(serviceConfig),
});

client.Recommend({ user_id: userId, limit: 5 }, { deadline: Date.now() + timeoutMs }, (error, answer) => {
  if (error) {
    console.error(`error: ${grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    for (const { movie, score } of answer.movies) console.log(`${score.toFixed(3)}  ${movie.title}`);
  }
  client.close();
});
