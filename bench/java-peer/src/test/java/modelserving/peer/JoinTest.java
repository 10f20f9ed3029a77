package modelserving.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import modelserving.Model.ModelDescriptor;
import modelserving.Model.ModelType;
import modelserving.Serving.Reason;
import modelserving.Serving.Rejected;
import modelserving.Serving.ServingResult;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.co.KeyedCoProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedTwoInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The join by itself, without Kafka. */
final class JoinTest {

  private static final Path MODELS = Path.of("../../examples/winequality/models");

  private KeyedTwoInputStreamOperatorTestHarness<String, WineRow, ModelMessage, Outgoing> harness;
  private long offset;

  @BeforeEach
  void open() throws Exception {
    harness = harness(false);
    harness.open();
  }

  @AfterEach
  void close() throws Exception {
    harness.close();
  }

  @Test
  void recordsWaitForTheFirstModel() throws Exception {
    record();
    record();
    assertEquals(List.of(), results());
    model("linear", "linear.pmml", ModelType.PMML);
    record();
    assertEquals(List.of(0L, 1L, 2L), results().stream().map(result -> result.getRecord().getOffset()).toList());
  }

  @Test
  void theNewestModelServes() throws Exception {
    model("linear", "linear.pmml", ModelType.PMML);
    record();
    model("graph", "tensorflow.pb", ModelType.TENSORFLOW);
    record();
    model("saved", "saved-model.zip", ModelType.TENSORFLOWSAVED);
    record();
    assertEquals(List.of("linear", "graph", "saved"), names());
  }

  @Test
  void aModelThatCannotBeLoadedLeavesTheOneBefore() throws Exception {
    model("linear", "linear.pmml", ModelType.PMML);
    model("bad", "linear.pmml", ModelType.TENSORFLOW);
    record();
    assertEquals(List.of("linear"), names());
  }

  @Test
  void afterARetirementRecordsWaitAgain() throws Exception {
    model("linear", "linear.pmml", ModelType.PMML);
    publish(ModelDescriptor.newBuilder().setName("linear").setDataType("wine").setRetire(true));
    record();
    assertEquals(List.of(), results());
  }

  @Test
  void waitingRecordsSurviveARestore() throws Exception {
    record();
    restore();
    model("linear", "linear.pmml", ModelType.PMML);
    assertEquals(List.of("linear"), names());
  }

  @Test
  void theModelSurvivesARestore() throws Exception {
    model("linear", "linear.pmml", ModelType.PMML);
    restore();
    record();
    assertEquals(List.of("linear"), names());
  }

  @Test
  void anUnreadableRecordIsRejected() throws Exception {
    WineRow row = row();
    row.features = null;
    row.unreadable = new byte[] {1};
    harness.processElement1(new StreamRecord<>(row));
    Outgoing outgoing = harness.extractOutputValues().get(0);
    assertTrue(outgoing.rejected);
    assertEquals(Reason.MALFORMED, Rejected.parseFrom(outgoing.value).getReason());
  }

  @Test
  void withoutAModelTheFirstFeatureIsTheAnswer() throws Exception {
    harness.close();
    harness = harness(true);
    harness.open();
    record();
    assertEquals(List.of(7.4), results().stream().map(ServingResult::getNumber).toList());
  }

  private static KeyedTwoInputStreamOperatorTestHarness<String, WineRow, ModelMessage, Outgoing> harness(
      boolean noModel) throws Exception {
    return new KeyedTwoInputStreamOperatorTestHarness<>(
        new KeyedCoProcessOperator<>(new Join("records", noModel, -1)),
        row -> row.key,
        message -> message.key,
        Types.STRING);
  }

  private void restore() throws Exception {
    OperatorSubtaskState state = harness.snapshot(0, 0);
    harness.close();
    harness = harness(false);
    harness.initializeState(state);
    harness.open();
  }

  private void model(String name, String file, ModelType type) throws Exception {
    publish(
        ModelDescriptor.newBuilder()
            .setName(name)
            .setDataType("wine")
            .setModeltype(type)
            .setData(ByteString.copyFrom(Files.readAllBytes(MODELS.resolve(file)))));
  }

  private void publish(ModelDescriptor.Builder descriptor) throws Exception {
    ModelMessage message = new ModelMessage();
    message.key = "wine";
    message.descriptor = descriptor.build().toByteArray();
    harness.processElement2(new StreamRecord<>(message));
  }

  private void record() throws Exception {
    harness.processElement1(new StreamRecord<>(row()));
  }

  private WineRow row() {
    WineRow row = new WineRow();
    row.key = "wine";
    row.dataType = "wine";
    row.offset = offset++;
    row.features = new double[] {7.4, 0.7, 0, 1.9, 0.076, 11, 34, 0.9978, 3.51, 0.56, 9.4};
    return row;
  }

  private List<String> names() throws Exception {
    return results().stream().map(ServingResult::getModelName).toList();
  }

  private List<ServingResult> results() throws Exception {
    List<ServingResult> results = new ArrayList<>();
    for (Outgoing outgoing : harness.extractOutputValues()) {
      results.add(ServingResult.parseFrom(outgoing.value));
    }
    return results;
  }
}
