package modelserving.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.FileUtils;

/**
 * The job that a Flink user would write in Java: each record by itself, joined with the models by data type, scored by
 * JPMML or TensorFlow, on a Flink cluster inside this process.
 */
public final class Peer {

  /** As in the Python job, so that keys spread alike. */
  private static final int MAX_PARALLELISM = 128;

  private Peer() {}

  /**
   * Run until the process is ended.
   *
   * @param arguments see {@link Options#USAGE}
   */
  public static void main(String[] arguments) throws Exception {
    Options options;
    try {
      options = Options.parse(arguments);
    } catch (RuntimeException error) {
      System.err.println(error.getMessage() + "\n" + Options.USAGE);
      System.exit(2);
      return;
    }
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration(options));
    environment.setParallelism(options.parallelism());
    environment.setMaxParallelism(MAX_PARALLELISM);
    build(environment, options);
    environment.execute(options.name());
  }

  private static void build(StreamExecutionEnvironment environment, Options options) {
    String prefix = options.topicPrefix();
    Lanes lanes = new Lanes(options.lanes(), options.parallelism(), MAX_PARALLELISM);
    DataStream<WineRow> records =
        environment
            .fromSource(
                source(options, prefix + "records", options.name(), new WineRowSchema(lanes)),
                WatermarkStrategy.noWatermarks(),
                "records")
            .uid("records");
    // The model log has one partition: more readers would idle.
    DataStream<ModelMessage> models =
        environment
            .fromSource(
                source(options, prefix + "models", options.name() + "-models", new ModelMessageSchema(lanes)),
                WatermarkStrategy.noWatermarks(),
                "models")
            .uid("models")
            .setParallelism(1);
    records
        .connect(models)
        .keyBy(row -> row.key, message -> message.key, Types.STRING)
        .process(new Join(prefix + "records", options.noModel(), options.tensorflowThreads()))
        .returns(Outgoing.class)
        .name("join")
        .uid("join")
        .sinkTo(sink(options))
        .name("results")
        .uid("results");
  }

  private static <T> KafkaSource<T> source(
      Options options, String topic, String group, KafkaRecordDeserializationSchema<T> schema) {
    return KafkaSource.<T>builder()
        .setBootstrapServers(options.bootstrapServers())
        .setTopics(topic)
        .setGroupId(group)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setProperty("isolation.level", "read_committed")
        // 500 by default: the fetcher would hand over more often than the task has time for.
        .setProperty("max.poll.records", "5000")
        .setDeserializer(schema)
        .build();
  }

  private static KafkaSink<Outgoing> sink(Options options) {
    var builder =
        KafkaSink.<Outgoing>builder()
            .setBootstrapServers(options.bootstrapServers())
            .setRecordSerializer(
                new OutgoingSchema(options.topicPrefix() + "results", options.topicPrefix() + "rejected-records"))
            .setDeliveryGuarantee(options.delivery())
            .setProperty("linger.ms", "2")
            .setProperty("batch.size", "131072")
            // The broker's maximum by default; Flink's default of an hour is refused by such a broker.
            .setProperty("transaction.timeout.ms", "900000");
    if (options.delivery() == DeliveryGuarantee.EXACTLY_ONCE) {
      builder.setTransactionalIdPrefix(options.name());
    }
    return builder.build();
  }

  private static Configuration configuration(Options options) throws IOException {
    Configuration configuration = new Configuration();
    configuration.setString("pipeline.object-reuse", "true");
    // A type that Flink has no serializer of its own for would make every record cross by Kryo.
    configuration.setString("pipeline.generic-types", "false");
    configuration.setString("pipeline.auto-generate-uids", "false");
    configuration.setString("execution.buffer-timeout.interval", "2 ms");
    configuration.setString("execution.checkpointing.interval", options.checkpointIntervalMs() + " ms");
    configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
    configuration.setString("execution.checkpointing.max-concurrent-checkpoints", "1");
    // The default, in the JobManager's memory, takes states of up to 5 MB.
    configuration.setString("execution.checkpointing.dir", temporaryFolder().toUri() + "checkpoints");
    configuration.setString("rest.bind-address", "localhost");
    configuration.setString("rest.address", "localhost");
    configuration.setString("restart-strategy.type", "exponential-delay");
    configuration.setString("restart-strategy.exponential-delay.initial-backoff", "1 s");
    configuration.setString("restart-strategy.exponential-delay.max-backoff", "10 s");
    return configuration;
  }

  private static Path temporaryFolder() throws IOException {
    Path folder = Files.createTempDirectory("java-peer-");
    Runtime.getRuntime().addShutdownHook(new Thread(() -> FileUtils.deleteDirectoryQuietly(folder.toFile())));
    return folder;
  }
}
