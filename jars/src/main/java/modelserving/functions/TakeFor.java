package modelserving.functions;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Of rows (target, key, value), those for one target, as rows (key, value).
 *
 * <p>What a Python function emits for several others goes to each of them in the JVM: a side output would be one more
 * Python function, which each element crosses into.
 */
public final class TakeFor implements FlatMapFunction<Row, Row> {
    private static final long serialVersionUID = 1L;

    private final String target;

    /** Takes the rows whose first field is {@code target}. */
    public TakeFor(String target) {
        this.target = target;
    }

    @Override
    public void flatMap(Row row, Collector<Row> taken) {
        if (target.equals(row.getField(0))) {
            taken.collect(Row.of(row.getField(1), row.getField(2)));
        }
    }
}
