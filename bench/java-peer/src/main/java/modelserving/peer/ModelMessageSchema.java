package modelserving.peer;

import com.google.protobuf.InvalidProtocolBufferException;
import modelserving.Model.ModelDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends each message of the model log to all lanes of its data type. */
final class ModelMessageSchema implements KafkaRecordDeserializationSchema<ModelMessage> {

  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(ModelMessageSchema.class);

  private final Lanes lanes;

  ModelMessageSchema(Lanes lanes) {
    this.lanes = lanes;
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> message, Collector<ModelMessage> messages) {
    if (message.value() == null) {
      return;
    }
    try {
      String dataType = ModelDescriptor.parseFrom(message.value()).getDataType();
      for (String key : lanes.keys(dataType)) {
        ModelMessage copy = new ModelMessage();
        copy.key = key;
        copy.descriptor = message.value();
        messages.collect(copy);
      }
    } catch (InvalidProtocolBufferException error) {
      LOG.error("not a model descriptor, at offset {}", message.offset(), error);
    }
  }

  @Override
  public TypeInformation<ModelMessage> getProducedType() {
    return TypeInformation.of(ModelMessage.class);
  }
}
