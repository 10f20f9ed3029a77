package modelserving.peer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class LanesTest {

  @Test
  void oneLaneIsTheDataType() {
    assertArrayEquals(new String[] {"wine"}, new Lanes(1, 2, 128).keys("wine"));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 16})
  void thereIsOneLaneInEachSubtask(int parallelism) {
    int[] subtasks =
        Arrays.stream(new Lanes(parallelism, parallelism, 128).keys("wine"))
            .mapToInt(key -> KeyGroupRangeAssignment.assignKeyToParallelOperator(key, 128, parallelism))
            .sorted()
            .toArray();
    for (int subtask = 0; subtask < parallelism; subtask++) {
      assertEquals(subtask, subtasks[subtask]);
    }
  }

  @Test
  void aPartitionKeepsToALane() {
    Lanes lanes = new Lanes(2, 2, 128);
    assertEquals(lanes.keys("wine")[1], lanes.key("wine", 3));
    assertEquals(lanes.key("wine", 1), lanes.key("wine", 3));
  }
}
