package modelserving.functions;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.nio.ByteBuffer;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * The records of a batch as one byte string, so that they cross into Python as one object and not as five for each.
 *
 * <p>The layout is that of the Arrow arrays of the columns, buffer after buffer, each at a multiple of 8 bytes:
 *
 * <pre>
 * int32 n; nothing
 * partition     int32 x n
 * offset        int64 x n
 * timestamp_ms  int64 x n
 * key           validity, 1 bit x n; end offsets, int32 x (n + 1); bytes
 * value         the same
 * </pre>
 *
 * All numbers are little-endian. {@code modelserving/packing.py} reads it.
 */
public final class PackRecords extends ScalarFunction {
    private static final long serialVersionUID = 1L;

    /** The arrays have the same length; only keys and values may be null. */
    public byte[] eval(
            @DataTypeHint(value = "ARRAY<BYTES>", bridgedTo = ArrayData.class) ArrayData keys,
            @DataTypeHint(value = "ARRAY<BYTES>", bridgedTo = ArrayData.class) ArrayData values,
            @DataTypeHint(value = "ARRAY<INT>", bridgedTo = ArrayData.class) ArrayData partitions,
            @DataTypeHint(value = "ARRAY<BIGINT>", bridgedTo = ArrayData.class) ArrayData offsets,
            @DataTypeHint(value = "ARRAY<BIGINT>", bridgedTo = ArrayData.class) ArrayData timestamps) {
        int n = values.size();
        byte[][] key = new byte[n][];
        byte[][] value = new byte[n][];
        long size = 8L + aligned(4L * n) + 16L * n + take(keys, key) + take(values, value);
        ByteBuffer packed = ByteBuffer.allocate(Math.toIntExact(size)).order(LITTLE_ENDIAN);
        packed.putInt(n);
        align(packed);
        for (int i = 0; i < n; i++) {
            packed.putInt(partitions.getInt(i));
        }
        align(packed);
        for (int i = 0; i < n; i++) {
            packed.putLong(offsets.getLong(i));
        }
        for (int i = 0; i < n; i++) {
            packed.putLong(timestamps.getLong(i));
        }
        put(packed, key);
        put(packed, value);
        return packed.array();
    }

    /** Puts the byte strings of {@code from} into {@code to}; how many bytes {@link #put} will write. */
    private static long take(ArrayData from, byte[][] to) {
        long length = 0;
        for (int i = 0; i < to.length; i++) {
            if (!from.isNullAt(i)) {
                to[i] = from.getBinary(i);
                length += to[i].length;
            }
        }
        return aligned((to.length + 7L) / 8) + aligned(4L * (to.length + 1)) + aligned(length);
    }

    private static void put(ByteBuffer packed, byte[][] strings) {
        int validity = packed.position();
        for (int i = 0; i < strings.length; i++) {
            if (strings[i] != null) {
                int at = validity + i / 8;
                packed.put(at, (byte) (packed.get(at) | 1 << i % 8));
            }
        }
        packed.position(validity + (strings.length + 7) / 8);
        align(packed);
        int end = 0;
        packed.putInt(end);
        for (byte[] string : strings) {
            end += string == null ? 0 : string.length;
            packed.putInt(end);
        }
        align(packed);
        for (byte[] string : strings) {
            if (string != null) {
                packed.put(string);
            }
        }
        align(packed);
    }

    private static long aligned(long length) {
        return (length + 7) & ~7L;
    }

    private static void align(ByteBuffer packed) {
        packed.position((int) aligned(packed.position()));
    }
}
