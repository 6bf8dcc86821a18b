// A client of the kind that other services write: node client.js DESCRIPTOR_SET ADDRESS USER_ID
// Prints the answer to a good request, and the errors of a bad one and of one with a very long text, one JSON object a
// line. Then it makes a good call on the same connection.
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [descriptors, address, userId] = process.argv.slice(2);
const options = { keepCase: true, longs: String, enums: String };
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptors), options);
const { RecommenderService } = grpc.loadPackageDefinition(definition).recommender.v1;
const client = new RecommenderService(address, grpc.credentials.createInsecure());

client.Recommend({ user_id: userId, limit: 2, explain: true }, (error, answer) => {
  if (error) throw error;
  console.log(JSON.stringify(answer));
  client.Recommend({}, (refused) => {
    const has_status_details = refused.metadata.get('grpc-status-details-bin').length === 1;
    console.log(JSON.stringify({ code: refused.code, details: refused.details, has_status_details }));
    client.Recommend({ user_id: userId, filter: { genres: ['x'.repeat(40000)] } }, (long) => {
      console.log(JSON.stringify({ code: long.code, details: long.details }));
    });
    client.Recommend({ user_id: userId }, (lost) => {
      if (lost) throw lost;
      client.close();
    });
  });
});
