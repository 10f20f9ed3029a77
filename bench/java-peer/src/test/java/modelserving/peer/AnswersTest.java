package modelserving.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import modelserving.Model.ModelDescriptor;
import modelserving.Model.ModelType;
import modelserving.Serving.ServingResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The peer's answers: of the reference models for all rows of the table against those of JPMML 1.7.3 and TensorFlow 2.20
 * as such, of the example's classifiers against scikit-learn's.
 */
final class AnswersTest {

  private static final Path REFERENCE = Path.of("../../../shared/reference");
  private static final Path EXAMPLE = Path.of("../../examples/winequality");
  private static final ObjectMapper JSON = new ObjectMapper();

  @ParameterizedTest
  @ValueSource(strings = {"winequalityLinearRegression", "winequalityGeneralizedLinearRegressionGaussian"})
  void regressions(String name) throws Exception {
    List<ServingResult> results = score(pmml(name));
    List<JsonNode> expected = expected(name);
    for (int row = 0; row < expected.size(); row++) {
      assertClose(expected.get(row).get("quality").asDouble(), results.get(row).getNumber(), 1e-9);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"winequalityDecisionTreeClassification", "winequalityMultilayerPerceptron"})
  void classifications(String name) throws Exception {
    List<ServingResult> results = score(pmml(name));
    List<JsonNode> expected = expected(name);
    for (int row = 0; row < expected.size(); row++) {
      ServingResult result = results.get(row);
      assertEquals(expected.get(row).get("quality").asText(), result.getLabel());
      for (String label : List.of("3", "4", "5", "6", "7", "8")) {
        double probability = result.getProbabilitiesOrDefault(label, 0);
        assertClose(expected.get(row).get("probability(" + label + ")").asDouble(), probability, 1e-9);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1})
  void graph(int threads) throws Exception {
    assumeReference();
    byte[] data = Files.readAllBytes(REFERENCE.resolve("models/optimized_WineQuality.pb"));
    assertOutputs(expected("optimized_WineQuality"), score(descriptor(ModelType.TENSORFLOW, data), threads));
  }

  @Test
  void savedModel() throws Exception {
    assumeReference();
    byte[] data = zip(REFERENCE.resolve("models/saved_model"));
    assertOutputs(expected("saved_model"), score(descriptor(ModelType.TENSORFLOWSAVED, data)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"tree.pmml", "forest.pmml", "neural-network.pmml"})
  void probabilitiesOfTheExamples(String file) throws Exception {
    JsonNode all = JSON.readTree(EXAMPLE.resolve("models/expected.json").toFile());
    JsonNode expected = all.get("models").get(file);
    byte[] data = Files.readAllBytes(EXAMPLE.resolve("models").resolve(file));
    List<ServingResult> results = score(descriptor(ModelType.PMML, data));
    for (int index = 0; index < expected.get("prediction").size(); index++) {
      ServingResult result = results.get(index * all.get("every").asInt());
      assertEquals(expected.get("prediction").get(index).asText(), result.getLabel());
      for (int label = 0; label < expected.get("classes").size(); label++) {
        double probability = result.getProbabilitiesOrDefault(expected.get("classes").get(label).asText(), 0);
        assertEquals(expected.get("probabilities").get(index).get(label).asDouble(), probability, 1e-9);
      }
    }
  }

  private static void assertOutputs(List<JsonNode> expected, List<ServingResult> results) {
    for (int row = 0; row < expected.size(); row++) {
      JsonNode outputs = expected.get(row).get("output");
      ServingResult result = results.get(row);
      assertEquals(outputs.size(), result.getOutputsCount());
      for (int index = 0; index < outputs.size(); index++) {
        assertEquals(outputs.get(index).asDouble(), result.getOutputs(index), 1e-5);
      }
      assertEquals(expected.get(row).get("argmax").asText(), result.getLabel());
    }
  }

  private static void assertClose(double expected, double actual, double relative) {
    assertEquals(expected, actual, Math.abs(expected) * relative);
  }

  private static void assumeReference() {
    assumeTrue(Files.isDirectory(REFERENCE), "no folder ../shared/reference with the reference models");
  }

  private static ModelDescriptor pmml(String name) throws IOException {
    assumeReference();
    return descriptor(ModelType.PMML, Files.readAllBytes(REFERENCE.resolve("models/" + name + ".pmml")));
  }

  private static ModelDescriptor descriptor(ModelType type, byte[] data) {
    return ModelDescriptor.newBuilder()
        .setName("reference")
        .setDataType("wine")
        .setModeltype(type)
        .setData(ByteString.copyFrom(data))
        .build();
  }

  private static List<ServingResult> score(ModelDescriptor descriptor) throws Exception {
    return score(descriptor, -1);
  }

  private static List<ServingResult> score(ModelDescriptor descriptor, int threads) throws Exception {
    Servable servable = Servable.load(descriptor, "records", threads);
    List<ServingResult> results = new ArrayList<>();
    for (WineRow row : rows()) {
      ServingResult result = ServingResult.parseFrom(servable.answer(row, System.nanoTime()));
      assertEquals(row.offset, result.getRecord().getOffset());
      assertEquals("reference", result.getModelName());
      results.add(result);
    }
    servable.close();
    assertEquals(1599, results.size());
    return results;
  }

  private static List<WineRow> rows() throws IOException {
    List<WineRow> rows = new ArrayList<>();
    for (String line : Files.readAllLines(EXAMPLE.resolve("winequality_red.csv"))) {
      WineRow row = new WineRow();
      row.dataType = "wine";
      row.offset = rows.size();
      row.features = Stream.of(line.split(";")).limit(11).mapToDouble(Double::parseDouble).toArray();
      rows.add(row);
    }
    return rows;
  }

  private static List<JsonNode> expected(String name) throws IOException {
    assumeReference();
    List<JsonNode> answers = new ArrayList<>();
    for (String line : Files.readAllLines(REFERENCE.resolve("expected/" + name + ".jsonl"))) {
      answers.add(JSON.readTree(line));
    }
    assertEquals(1599, answers.size());
    return answers;
  }

  private static byte[] zip(Path folder) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes);
        Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.filter(Files::isRegularFile).toList()) {
        zip.putNextEntry(new ZipEntry(folder.relativize(path).toString()));
        Files.copy(path, zip);
      }
    }
    return bytes.toByteArray();
  }
}
