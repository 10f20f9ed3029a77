package modelserving.peer;

import java.util.List;
import java.util.Locale;
import modelserving.Wine.WineRecord;

/** The features of a wine record. */
final class Features {

  /** Their names, normalised, in the order of the message's fields. */
  static final List<String> NAMES =
      WineRecord.getDescriptor().getFields().stream().limit(11).map(field -> normalised(field.getName())).toList();

  private Features() {}

  /** The name as a model may write it, reduced to what all spellings share: "fixed acidity" is fixed_acidity. */
  static String normalised(String name) {
    return name.toLowerCase(Locale.ROOT).replaceAll("[^\\p{Alnum}]+", "_");
  }

  /**
   * Where a feature stands.
   *
   * @throws IllegalArgumentException there is none of that name
   */
  static int position(String name) {
    int position = NAMES.indexOf(normalised(name));
    if (position < 0) {
      throw new IllegalArgumentException("no feature " + name);
    }
    return position;
  }
}
