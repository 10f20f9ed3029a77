package modelserving.peer;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import modelserving.Model.ModelDescriptor;
import modelserving.Serving.LogPosition;
import modelserving.Serving.ServingResult;

/** A live model with all that its results have in common. */
final class Servable {

  private final Scorer scorer;
  private final ServingResult sameInAll;
  private final LogPosition log;

  private Servable(Scorer scorer, String topic, ServingResult.Builder sameInAll) {
    this.scorer = scorer;
    this.sameInAll = sameInAll.build();
    this.log = LogPosition.newBuilder().setTopic(topic).build();
    // A message keeps a string that was asked for in bytes as bytes, also when it is copied: encoded once, not each time.
    this.sameInAll.getDataTypeBytes();
    this.sameInAll.getModelNameBytes();
    this.sameInAll.getModelVersionBytes();
    this.sameInAll.getModelSha256Bytes();
    this.log.getTopicBytes();
  }

  /**
   * Load a model.
   *
   * @throws Exception it cannot be loaded, whatever the library says
   */
  static Servable load(ModelDescriptor descriptor, String topic, int tensorflowThreads) throws Exception {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(descriptor.getData().toByteArray());
    String sha256 = HexFormat.of().formatHex(digest);
    ServingResult.Builder sameInAll =
        ServingResult.newBuilder()
            .setDataType(descriptor.getDataType())
            .setModelName(descriptor.getName())
            .setModelVersion(descriptor.getVersion().isEmpty() ? sha256.substring(0, 12) : descriptor.getVersion())
            .setModelSha256(sha256);
    return new Servable(scorer(descriptor, tensorflowThreads), topic, sameInAll);
  }

  /** What answers without a model. */
  static Servable echo(String dataType, String topic) {
    Scorer first = (features, result) -> result.setNumber(features[0]);
    return new Servable(first, topic, ServingResult.newBuilder().setDataType(dataType));
  }

  /** The encoded result for a record. */
  byte[] answer(WineRow row, long receivedNanos) {
    ServingResult.Builder result = sameInAll.toBuilder();
    scorer.score(row.features, result);
    return result
        .setRecord(position(log, row))
        .setScoredAtMs(System.currentTimeMillis())
        .setLatencyUs((System.nanoTime() - receivedNanos) / 1000)
        .build()
        .toByteArray();
  }

  /** Where a record stands on a log. */
  static LogPosition position(LogPosition log, WineRow row) {
    return log.toBuilder()
        .setPartition(row.partition)
        .setOffset(row.offset)
        .setTimestampMs(row.timestampMs)
        .build();
  }

  void close() {
    scorer.close();
  }

  private static Scorer scorer(ModelDescriptor descriptor, int tensorflowThreads) throws Exception {
    return switch (descriptor.getModeltype()) {
      case PMML -> new PmmlScorer(descriptor);
      case TENSORFLOW -> TensorflowScorer.ofGraph(descriptor, tensorflowThreads);
      case TENSORFLOWSAVED -> TensorflowScorer.ofSavedModel(descriptor, tensorflowThreads);
      default -> throw new IllegalArgumentException("no runtime for " + descriptor.getModeltype());
    };
  }
}
