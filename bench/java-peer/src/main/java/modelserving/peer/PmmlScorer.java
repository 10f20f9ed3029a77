package modelserving.peer;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import modelserving.Model.ModelDescriptor;
import modelserving.Serving.ServingResult;
import org.dmg.pmml.MiningFunction;
import org.dmg.pmml.ResultFeature;
import org.jpmml.evaluator.Evaluator;
import org.jpmml.evaluator.EvaluatorUtil;
import org.jpmml.evaluator.FieldValue;
import org.jpmml.evaluator.HasProbability;
import org.jpmml.evaluator.InputField;
import org.jpmml.evaluator.LoadingModelEvaluatorBuilder;

/** A PMML model in JPMML. */
final class PmmlScorer implements Scorer {

  private final Evaluator evaluator;
  private final List<InputField> fields;
  private final int[] positions;
  private final String target;
  private final boolean classification;

  /** Filled anew for each record. */
  private final Map<String, FieldValue> arguments = new HashMap<>();

  /**
   * Load a document.
   *
   * @throws Exception JPMML does not take it, or it has an input that is no feature
   */
  PmmlScorer(ModelDescriptor descriptor) throws Exception {
    // The builder's default visitors parse and intern values ahead of time, as JPMML recommends for production.
    evaluator =
        new LoadingModelEvaluatorBuilder()
            .load(descriptor.getData().newInput())
            // Else a tree without output fields gives its label alone.
            .setExtraResultFeatures(EnumSet.of(ResultFeature.PROBABILITY))
            .build();
    evaluator.verify();
    fields = evaluator.getInputFields();
    positions = fields.stream().mapToInt(field -> Features.position(field.getName())).toArray();
    target = evaluator.getTargetFields().get(0).getName();
    classification = evaluator.getMiningFunction() == MiningFunction.CLASSIFICATION;
  }

  @Override
  public void score(double[] features, ServingResult.Builder result) {
    for (int index = 0; index < positions.length; index++) {
      InputField field = fields.get(index);
      arguments.put(field.getName(), field.prepare(features[positions[index]]));
    }
    Object answer = evaluator.evaluate(arguments).get(target);
    Object value = EvaluatorUtil.decode(answer);
    if (value == null) {
      throw new IllegalStateException("the model gives no answer");
    }
    if (classification) {
      result.setLabel(value.toString());
    } else {
      result.setNumber(((Number) value).doubleValue());
    }
    if (answer instanceof HasProbability distribution) {
      for (Object category : distribution.getCategories()) {
        result.putProbabilities(category.toString(), distribution.getProbability(category));
      }
    }
  }
}
