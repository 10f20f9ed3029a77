import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jpmml.evaluator.Evaluator;
import org.jpmml.evaluator.EvaluatorUtil;
import org.jpmml.evaluator.FieldValue;
import org.jpmml.evaluator.HasProbability;
import org.jpmml.evaluator.InputField;
import org.jpmml.evaluator.LoadingModelEvaluatorBuilder;

/**
 * Each line in holds a document and records, each line out the answers: a value, its probabilities, or an error, with
 * the field whose value the document's rules refuse if it is that.
 */
public class Answer {
  public static void main(String[] arguments) throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    mapper.configure(JsonGenerator.Feature.QUOTE_NON_NUMERIC_NUMBERS, true);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      Map<?, ?> job = mapper.readValue(line, Map.class);
      byte[] document = ((String) job.get("document")).getBytes(StandardCharsets.UTF_8);
      Evaluator evaluator = new LoadingModelEvaluatorBuilder().load(new ByteArrayInputStream(document)).build();
      List<Map<String, Object>> answers = new java.util.ArrayList<>();
      for (Object each : (List<?>) job.get("records")) {
        answers.add(answer(evaluator, (Map<?, ?>) each));
      }
      System.out.println(mapper.writeValueAsString(answers));
    }
  }

  static Map<String, Object> answer(Evaluator evaluator, Map<?, ?> row) {
    Map<String, Object> answer = new LinkedHashMap<>();
    try {
      Map<String, FieldValue> values = new LinkedHashMap<>();
      for (InputField field : evaluator.getInputFields()) {
        try {
          values.put(field.getName(), field.prepare(row.get(field.getName())));
        } catch (RuntimeException error) {
          answer.put("field", field.getName());
          throw error;
        }
      }
      Object value = evaluator.evaluate(values).get(evaluator.getTargetFields().get(0).getName());
      answer.put("value", EvaluatorUtil.decode(value));
      if (value instanceof HasProbability) {
        Map<String, Object> probabilities = new LinkedHashMap<>();
        for (Object category : ((HasProbability) value).getCategories()) {
          probabilities.put(String.valueOf(category), ((HasProbability) value).getProbability(category));
        }
        answer.put("probabilities", probabilities);
      }
    } catch (RuntimeException error) {
      answer.put("error", error.getClass().getSimpleName());
    }
    return answer;
  }
}
