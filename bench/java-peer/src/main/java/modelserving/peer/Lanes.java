package modelserving.peer;

import java.io.Serializable;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;

/**
 * The keys that records and models meet under.
 *
 * <p>Keyed by the data type alone, all records of a data type go to one subtask, and a job with one data type gets no
 * faster with parallelism. So a data type has lanes: keys that Flink's hash sends to one subtask each. A partition's
 * records take one lane, which keeps their order; a model goes to all lanes. With one lane the key is the data type.
 */
final class Lanes implements Serializable {

  private static final long serialVersionUID = 1L;

  private final int lanes;
  private final int parallelism;
  private final int maxParallelism;
  private transient Map<String, String[]> known;

  Lanes(int lanes, int parallelism, int maxParallelism) {
    this.lanes = lanes;
    this.parallelism = parallelism;
    this.maxParallelism = maxParallelism;
  }

  /** The key of a record. */
  String key(String dataType, int partition) {
    return keys(dataType)[partition % lanes];
  }

  /** The keys of a model. */
  String[] keys(String dataType) {
    if (known == null) {
      known = new HashMap<>();
    }
    return known.computeIfAbsent(dataType, this::make);
  }

  private String[] make(String dataType) {
    if (lanes == 1) {
      return new String[] {dataType};
    }
    Set<String> keys = new LinkedHashSet<>();
    for (int salt = 0; keys.size() < lanes; salt++) {
      String key = dataType + "/" + salt;
      int subtask = KeyGroupRangeAssignment.assignKeyToParallelOperator(key, maxParallelism, parallelism);
      if (subtask == keys.size() % parallelism) {
        keys.add(key);
      }
    }
    return keys.toArray(String[]::new);
  }
}
