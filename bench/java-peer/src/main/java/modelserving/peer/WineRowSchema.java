package modelserving.peer;

import com.google.protobuf.InvalidProtocolBufferException;
import modelserving.Wine.WineRecord;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Decodes each record once, in the source: what crosses to the join is plain numbers. */
final class WineRowSchema implements KafkaRecordDeserializationSchema<WineRow> {

  private static final long serialVersionUID = 1L;

  private final Lanes lanes;

  WineRowSchema(Lanes lanes) {
    this.lanes = lanes;
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> message, Collector<WineRow> rows) {
    WineRow row = new WineRow();
    row.messageKey = message.key();
    row.partition = message.partition();
    row.offset = message.offset();
    row.timestampMs = message.timestamp();
    byte[] value = message.value() == null ? new byte[0] : message.value();
    try {
      WineRecord record = WineRecord.parseFrom(value);
      row.dataType = record.getDataType();
      row.features = features(record);
    } catch (InvalidProtocolBufferException error) {
      row.dataType = "";
      row.unreadable = value;
    }
    row.key = lanes.key(row.dataType, row.partition);
    rows.collect(row);
  }

  /** The numbers of a record, in the order of {@link Features}. */
  static double[] features(WineRecord record) {
    return new double[] {
      record.getFixedAcidity(),
      record.getVolatileAcidity(),
      record.getCitricAcid(),
      record.getResidualSugar(),
      record.getChlorides(),
      record.getFreeSulfurDioxide(),
      record.getTotalSulfurDioxide(),
      record.getDensity(),
      record.getPH(),
      record.getSulphates(),
      record.getAlcohol()
    };
  }

  @Override
  public TypeInformation<WineRow> getProducedType() {
    return TypeInformation.of(WineRow.class);
  }
}
