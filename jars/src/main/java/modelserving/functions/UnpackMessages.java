package modelserving.functions;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.TableFunction;

/**
 * The messages for a topic, which came from Python as one byte string, as rows of key and value.
 *
 * <pre>
 * int32 n, int32 length of the prefix
 * key lengths    int32 x n, -1 for no key
 * value lengths  int32 x n, without the prefix, -1 for no value
 * prefix, keys, values: bytes
 * </pre>
 *
 * All numbers are little-endian; each value begins with the prefix. {@code modelserving/packing.py} writes it.
 */
@FunctionHint(
        output = @DataTypeHint(value = "ROW<record_key BYTES, record_value BYTES>", bridgedTo = RowData.class))
public final class UnpackMessages extends TableFunction<RowData> {
    private static final long serialVersionUID = 1L;

    /** Emits each message of {@code packed}. */
    public void eval(byte[] packed) {
        ByteBuffer header = ByteBuffer.wrap(packed).order(LITTLE_ENDIAN);
        int n = header.getInt();
        int prefix = 8 + 8 * n;
        int prefixLength = header.getInt();
        int key = prefix + prefixLength;
        int value = key;
        for (int i = 0; i < n; i++) {
            value += Math.max(header.getInt(8 + 4 * i), 0);
        }
        for (int i = 0; i < n; i++) {
            int keyLength = header.getInt(8 + 4 * i);
            int valueLength = header.getInt(8 + 4 * (n + i));
            byte[] message = null;
            if (valueLength >= 0) {
                message = new byte[prefixLength + valueLength];
                System.arraycopy(packed, prefix, message, 0, prefixLength);
                System.arraycopy(packed, value, message, prefixLength, valueLength);
            }
            collect(GenericRowData.of(keyLength < 0 ? null : Arrays.copyOfRange(packed, key, key + keyLength), message));
            key += Math.max(keyLength, 0);
            value += Math.max(valueLength, 0);
        }
    }
}
