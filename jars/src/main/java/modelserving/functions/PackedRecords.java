package modelserving.functions;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Records of a batch, gathered to be one byte string, so that they cross into Python as one object and not as five for
 * each.
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
final class PackedRecords {
    private int[] partitions = new int[1024];
    private long[] offsets = new long[1024];
    private long[] timestamps = new long[1024];
    private final ByteStrings keys = new ByteStrings();
    private final ByteStrings values = new ByteStrings();
    private int n;

    /** Adds a record; only key and value may be null. Nothing of it is kept but copies. */
    void add(byte[] key, byte[] value, int partition, long offset, long timestampMs) {
        if (n == offsets.length) {
            partitions = Arrays.copyOf(partitions, 2 * n);
            offsets = Arrays.copyOf(offsets, 2 * n);
            timestamps = Arrays.copyOf(timestamps, 2 * n);
        }
        partitions[n] = partition;
        offsets[n] = offset;
        timestamps[n] = timestampMs;
        keys.add(n, key);
        values.add(n, value);
        n++;
    }

    int size() {
        return n;
    }

    /** How many bytes keys and values have. */
    long bytes() {
        return (long) keys.length() + values.length();
    }

    /** The records as one byte string; there are none afterwards. */
    byte[] take() {
        long size = 8L + aligned(4L * n) + 16L * n + keys.packed(n) + values.packed(n);
        ByteBuffer packed = ByteBuffer.allocate(Math.toIntExact(size)).order(LITTLE_ENDIAN);
        packed.putInt(n);
        align(packed);
        packed.asIntBuffer().put(partitions, 0, n);
        skip(packed, 4 * n);
        packed.asLongBuffer().put(offsets, 0, n);
        skip(packed, 8 * n);
        packed.asLongBuffer().put(timestamps, 0, n);
        skip(packed, 8 * n);
        keys.take(n, packed);
        values.take(n, packed);
        n = 0;
        return packed.array();
    }

    private static void skip(ByteBuffer packed, int bytes) {
        packed.position(packed.position() + bytes);
        align(packed);
    }

    private static void align(ByteBuffer packed) {
        packed.position((int) aligned(packed.position()));
    }

    private static long aligned(long length) {
        return (length + 7) & ~7L;
    }

    /** Byte strings one after the other, some of them null. */
    private static final class ByteStrings {
        private byte[] bytes = new byte[1024];
        private int[] ends = new int[1025];
        private byte[] validity = new byte[128];
        private int end;

        void add(int index, byte[] string) {
            if (index + 1 == ends.length) {
                ends = Arrays.copyOf(ends, 2 * index + 1);
                validity = Arrays.copyOf(validity, (2 * index + 7) / 8);
            }
            if (string != null) {
                validity[index / 8] |= (byte) (1 << index % 8);
                int begin = end;
                end = Math.addExact(begin, string.length);
                if (end > bytes.length) {
                    bytes = Arrays.copyOf(bytes, (int) Math.min(Integer.MAX_VALUE - 8, Math.max(2L * bytes.length, end)));
                }
                System.arraycopy(string, 0, bytes, begin, string.length);
            }
            ends[index + 1] = end;
        }

        int length() {
            return end;
        }

        /** How many bytes {@link #take} writes for n strings. */
        long packed(int n) {
            return aligned((n + 7L) / 8) + aligned(4L * (n + 1)) + aligned(end);
        }

        void take(int n, ByteBuffer packed) {
            packed.put(validity, 0, (n + 7) / 8);
            align(packed);
            packed.asIntBuffer().put(ends, 0, n + 1);
            skip(packed, 4 * (n + 1));
            packed.put(bytes, 0, end);
            align(packed);
            Arrays.fill(validity, 0, (n + 7) / 8, (byte) 0);
            end = 0;
        }
    }
}
