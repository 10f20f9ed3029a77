package modelserving.peer;

import java.util.Set;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.util.ParameterTool;

/**
 * What is chosen for a run.
 *
 * @param name of the job, its consumer groups, and the prefix of its transactional ids
 * @param checkpointIntervalMs between checkpoints; with exactly-once, results are committed at each
 * @param lanes keys that the records of one data type are spread over
 * @param noModel answer without a model
 * @param tensorflowThreads for the operations of a graph; negative: the thread that asks
 */
record Options(
    String bootstrapServers,
    String topicPrefix,
    String name,
    int parallelism,
    DeliveryGuarantee delivery,
    long checkpointIntervalMs,
    int lanes,
    boolean noModel,
    int tensorflowThreads) {

  static final String USAGE =
      """
      java -jar java-peer.jar --bootstrap-servers HOST:PORT --name NAME
        [--topic-prefix PREFIX] [--parallelism 1] [--delivery exactly-once|at-least-once]
        [--checkpoint-interval 2000] [--lanes PARALLELISM] [--no-model true] [--tensorflow-threads -1]""";

  /**
   * The options in a command line.
   *
   * @throws IllegalArgumentException one is missing, unknown or has no such value
   */
  static Options parse(String[] arguments) {
    ParameterTool parameters = ParameterTool.fromArgs(arguments);
    int parallelism = parameters.getInt("parallelism", 1);
    Options options =
        new Options(
            parameters.getRequired("bootstrap-servers"),
            parameters.get("topic-prefix", ""),
            parameters.getRequired("name"),
            parallelism,
            delivery(parameters.get("delivery", "exactly-once")),
            parameters.getLong("checkpoint-interval", 2000),
            parameters.getInt("lanes", parallelism),
            parameters.getBoolean("no-model", false),
            parameters.getInt("tensorflow-threads", -1));
    Set<String> unknown = parameters.getUnrequestedParameters();
    if (!unknown.isEmpty()) {
      throw new IllegalArgumentException("no such option: " + String.join(", ", unknown));
    }
    return options;
  }

  private static DeliveryGuarantee delivery(String text) {
    return switch (text) {
      case "exactly-once" -> DeliveryGuarantee.EXACTLY_ONCE;
      case "at-least-once" -> DeliveryGuarantee.AT_LEAST_ONCE;
      default -> throw new IllegalArgumentException("no such delivery: " + text);
    };
  }
}
