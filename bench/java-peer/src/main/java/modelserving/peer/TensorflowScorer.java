package modelserving.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import modelserving.Model.ModelDescriptor;
import modelserving.Serving.ServingResult;
import org.apache.flink.util.FileUtils;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.FloatDataBuffer;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;
import org.tensorflow.types.TFloat32;

/** A frozen graph or a SavedModel in TensorFlow: a vector of numbers in, a vector out. */
final class TensorflowScorer implements Scorer {

  private static final String[] TAGS = {"serve"};

  private final AutoCloseable owner;
  private final Session session;
  private final Output<?> source;
  private final Output<?> target;
  private final int[] positions;
  private final List<String> labels;

  /** One tensor for all records, with the view that fills it: to make one takes as long as a small network. */
  private final TFloat32 input;

  private final FloatDataBuffer inputNumbers;
  private final float[] row;
  private final float[] outputs;

  private TensorflowScorer(
      AutoCloseable owner, Session session, Output<?> source, Output<?> target, ModelDescriptor descriptor) {
    this.owner = owner;
    this.session = session;
    this.source = source;
    this.target = target;
    List<String> names = descriptor.getInputsCount() > 0 ? descriptor.getInputsList() : Features.NAMES;
    positions = names.stream().mapToInt(Features::position).toArray();
    row = new float[positions.length];
    input = TFloat32.tensorOf(Shape.of(1, row.length));
    inputNumbers = input.asRawTensor().data().asFloats();
    outputs = new float[width()];
    labels =
        descriptor.getLabelsCount() > 0
            ? descriptor.getLabelsList()
            : IntStream.range(0, outputs.length).mapToObj(Integer::toString).toList();
  }

  /**
   * Load a frozen graph; without named tensors from its sole placeholder to its last node.
   *
   * @param threads for its operations; negative: the thread that asks
   */
  static TensorflowScorer ofGraph(ModelDescriptor descriptor, int threads) throws IOException {
    GraphDef definition = GraphDef.parseFrom(descriptor.getData());
    String source = descriptor.getInputTensor();
    if (source.isEmpty()) {
      Stream<NodeDef> nodes = definition.getNodeList().stream();
      source = only(nodes.filter(node -> node.getOp().equals("Placeholder")).toList()).getName();
    }
    String target = descriptor.getOutputTensor();
    if (target.isEmpty()) {
      target = definition.getNode(definition.getNodeCount() - 1).getName();
    }
    Graph graph = new Graph();
    graph.importGraphDef(definition);
    Session session = new Session(graph, configuration(threads));
    AutoCloseable owner =
        () -> {
          session.close();
          graph.close();
        };
    return new TensorflowScorer(owner, session, graph.outputOrThrow(source), graph.outputOrThrow(target), descriptor);
  }

  /**
   * Load a SavedModel from a zip or tar of its folder; without a named signature its sole one, or serving_default.
   *
   * @param threads for its operations; negative: the thread that asks
   */
  static TensorflowScorer ofSavedModel(ModelDescriptor descriptor, int threads) throws IOException {
    Path folder = Files.createTempDirectory("saved-model-");
    SavedModelBundle bundle;
    try {
      Path root = Archives.unpack(descriptor.getData().newInput(), folder, "saved_model.pb");
      String[] tags = descriptor.getTagsCount() > 0 ? descriptor.getTagsList().toArray(String[]::new) : TAGS;
      bundle =
          SavedModelBundle.loader(root.toString()).withTags(tags).withConfigProto(configuration(threads)).load();
    } finally {
      FileUtils.deleteDirectoryQuietly(folder.toFile());
    }
    SignatureDef signature = signature(bundle.metaGraphDef().getSignatureDefMap(), descriptor.getSignature());
    Graph graph = bundle.graph();
    Output<?> source = graph.outputOrThrow(tensor(signature.getInputsMap(), descriptor.getInputTensor()));
    Output<?> target = graph.outputOrThrow(tensor(signature.getOutputsMap(), descriptor.getOutputTensor()));
    return new TensorflowScorer(bundle, bundle.session(), source, target, descriptor);
  }

  @Override
  public void score(double[] features, ServingResult.Builder result) {
    for (int index = 0; index < row.length; index++) {
      row[index] = (float) features[positions[index]];
    }
    inputNumbers.write(row);
    try (Result answer = run()) {
      answer.get(0).asRawTensor().data().asFloats().read(outputs);
    }
    if (outputs.length == 1) {
      result.setNumber(outputs[0]);
      return;
    }
    int best = 0;
    for (int index = 0; index < outputs.length; index++) {
      result.addOutputs(outputs[index]);
      best = outputs[index] > outputs[best] ? index : best;
    }
    result.setLabel(labels.get(best));
  }

  @Override
  public void close() {
    input.close();
    try {
      owner.close();
    } catch (Exception error) {
      throw new IllegalStateException("TensorFlow cannot close the model", error);
    }
  }

  private Result run() {
    return session.runner().feed(source, input).fetch(target).run();
  }

  private int width() {
    try (Result answer = run()) {
      return (int) answer.get(0).shape().size();
    }
  }

  /** A model has one core, as in the Python job; a graph this small gains nothing from more. */
  private static ConfigProto configuration(int threads) {
    return ConfigProto.newBuilder()
        .setIntraOpParallelismThreads(1)
        .setInterOpParallelismThreads(threads)
        // Only a session without threads of its own runs operations in the thread that asks.
        .setUsePerSessionThreads(threads >= 0)
        .build();
  }

  private static SignatureDef signature(Map<String, SignatureDef> signatures, String wanted) {
    // TensorFlow 2 adds one of its own, which starts the model.
    List<String> names = signatures.keySet().stream().filter(name -> !name.startsWith("__")).toList();
    String name = !wanted.isEmpty() ? wanted : names.size() == 1 ? names.get(0) : "serving_default";
    if (!names.contains(name)) {
      throw new IllegalArgumentException("no signature " + name + " among " + names);
    }
    return signatures.get(name);
  }

  private static String tensor(Map<String, TensorInfo> tensors, String wanted) {
    TensorInfo tensor = wanted.isEmpty() ? only(List.copyOf(tensors.values())) : tensors.get(wanted);
    if (tensor == null) {
      throw new IllegalArgumentException("no tensor " + wanted + " among " + tensors.keySet());
    }
    return tensor.getName();
  }

  private static <T> T only(List<T> items) {
    if (items.size() != 1) {
      throw new IllegalArgumentException(items.size() + " to choose from; name one in the descriptor");
    }
    return items.get(0);
  }
}
