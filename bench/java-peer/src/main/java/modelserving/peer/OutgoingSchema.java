package modelserving.peer;

import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** One sink for both topics, so that a checkpoint is one transaction. */
final class OutgoingSchema implements KafkaRecordSerializationSchema<Outgoing> {

  private static final long serialVersionUID = 1L;

  private final String results;
  private final String rejected;

  OutgoingSchema(String results, String rejected) {
    this.results = results;
    this.rejected = rejected;
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(Outgoing outgoing, KafkaSinkContext context, Long timestamp) {
    return new ProducerRecord<>(outgoing.rejected ? rejected : results, outgoing.key, outgoing.value);
  }
}
