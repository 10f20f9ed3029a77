package modelserving.peer;

import com.google.protobuf.ByteString;
import java.util.HashMap;
import java.util.Map;
import modelserving.Model.ModelDescriptor;
import modelserving.Serving.LogPosition;
import modelserving.Serving.Reason;
import modelserving.Serving.Rejected;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Scores each record with the newest model of its data type.
 *
 * <p>State holds the model's descriptor; the live model is made from it once in each subtask. Nothing orders a model
 * before the records it is for, so records that come first wait in the state.
 */
final class Join extends KeyedCoProcessFunction<String, WineRow, ModelMessage, Outgoing> {

  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(Join.class);

  private final String topic;
  private final boolean noModel;
  private final int tensorflowThreads;
  private transient ValueState<byte[]> descriptors;
  private transient ListState<WineRow> waiting;
  private transient Map<String, Servable> live;

  Join(String topic, boolean noModel, int tensorflowThreads) {
    this.topic = topic;
    this.noModel = noModel;
    this.tensorflowThreads = tensorflowThreads;
  }

  @Override
  public void open(OpenContext context) {
    descriptors = getRuntimeContext().getState(new ValueStateDescriptor<>("descriptor", byte[].class));
    waiting = getRuntimeContext().getListState(new ListStateDescriptor<>("waiting", Types.POJO(WineRow.class)));
    live = new HashMap<>();
  }

  @Override
  public void processElement1(WineRow row, Context context, Collector<Outgoing> out) throws Exception {
    long received = System.nanoTime();
    if (row.features == null) {
      out.collect(reject(row, Reason.MALFORMED, "not a record", row.unreadable));
      return;
    }
    Servable servable = servable(context.getCurrentKey(), row.dataType);
    if (servable == null) {
      waiting.add(row);
      return;
    }
    out.collect(answer(servable, row, received));
  }

  @Override
  public void processElement2(ModelMessage message, Context context, Collector<Outgoing> out) throws Exception {
    String key = context.getCurrentKey();
    ModelDescriptor descriptor = ModelDescriptor.parseFrom(message.descriptor);
    if (noModel) {
      return;
    }
    if (descriptor.getRetire()) {
      retire(key, descriptor.getName());
      return;
    }
    Servable next;
    try {
      next = Servable.load(descriptor, topic, tensorflowThreads);
    } catch (Exception error) {
      LOG.error("model {} cannot be loaded; the one before serves on", descriptor.getName(), error);
      return;
    }
    replace(key, next);
    descriptors.update(message.descriptor);
    for (WineRow row : waiting.get()) {
      out.collect(answer(next, row, System.nanoTime()));
    }
    waiting.clear();
  }

  @Override
  public void close() {
    if (live != null) {
      live.values().forEach(Servable::close);
    }
  }

  /** The live model of a key, made from the state after a restore; null if there is none. */
  private Servable servable(String key, String dataType) throws Exception {
    Servable servable = live.get(key);
    if (servable == null) {
      byte[] descriptor = descriptors.value();
      if (noModel) {
        servable = Servable.echo(dataType, topic);
      } else if (descriptor != null) {
        servable = Servable.load(ModelDescriptor.parseFrom(descriptor), topic, tensorflowThreads);
      }
      replace(key, servable);
    }
    return servable;
  }

  private void replace(String key, Servable next) {
    Servable before = next == null ? live.remove(key) : live.put(key, next);
    if (before != null) {
      before.close();
    }
  }

  private void retire(String key, String name) throws Exception {
    byte[] descriptor = descriptors.value();
    if (descriptor != null && ModelDescriptor.parseFrom(descriptor).getName().equals(name)) {
      descriptors.clear();
      replace(key, null);
    }
  }

  private Outgoing answer(Servable servable, WineRow row, long received) {
    try {
      return Outgoing.of(false, row.messageKey, servable.answer(row, received));
    } catch (RuntimeException error) {
      return reject(row, Reason.MODEL_FAILED, String.valueOf(error.getMessage()), new byte[0]);
    }
  }

  private Outgoing reject(WineRow row, Reason reason, String detail, byte[] original) {
    Rejected rejected =
        Rejected.newBuilder()
            .setReason(reason)
            .setDetail(detail)
            .setOriginal(ByteString.copyFrom(original))
            .setPosition(Servable.position(LogPosition.newBuilder().setTopic(topic).build(), row))
            .setRejectedAtMs(System.currentTimeMillis())
            .setDataType(row.dataType)
            .build();
    return Outgoing.of(true, row.messageKey, rejected.toByteArray());
  }
}
