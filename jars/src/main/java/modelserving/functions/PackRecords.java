package modelserving.functions;

import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.functions.ScalarFunction;

/** The records of a window as {@link PackedRecords}: what a savepoint made before 0.3.0 may hold. */
public final class PackRecords extends ScalarFunction {
    private static final long serialVersionUID = 1L;

    /** The arrays have the same length; only keys and values may be null. */
    public byte[] eval(
            @DataTypeHint(value = "ARRAY<BYTES>", bridgedTo = ArrayData.class) ArrayData keys,
            @DataTypeHint(value = "ARRAY<BYTES>", bridgedTo = ArrayData.class) ArrayData values,
            @DataTypeHint(value = "ARRAY<INT>", bridgedTo = ArrayData.class) ArrayData partitions,
            @DataTypeHint(value = "ARRAY<BIGINT>", bridgedTo = ArrayData.class) ArrayData offsets,
            @DataTypeHint(value = "ARRAY<BIGINT>", bridgedTo = ArrayData.class) ArrayData timestamps) {
        PackedRecords records = new PackedRecords();
        for (int i = 0; i < values.size(); i++) {
            records.add(
                    keys.isNullAt(i) ? null : keys.getBinary(i),
                    values.isNullAt(i) ? null : values.getBinary(i),
                    partitions.getInt(i),
                    offsets.getLong(i),
                    timestamps.getLong(i));
        }
        return records.take();
    }
}
