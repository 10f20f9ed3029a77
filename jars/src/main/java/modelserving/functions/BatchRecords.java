package modelserving.functions;

import java.util.concurrent.ScheduledFuture;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.RowData;

/**
 * Gathers the records of a few milliseconds into one batch, {@link PackedRecords}.
 *
 * <p>The interval adapts to the load. A batch leaves as soon as the interval since the one before was taken is over, so
 * where records are few each leaves at once; and after large batches the interval is longer, since it costs less for a
 * record the more there are in a batch. Records wait in the order in which they came, and never for a checkpoint: before
 * its barrier they leave, so there is no state.
 *
 * <p>Rows are key, value, partition, offset and timestamp of a record on its log.
 */
public final class BatchRecords extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<RowData, byte[]>, ProcessingTimeCallback {
    private static final long serialVersionUID = 1L;

    /** After a batch of so many records the interval is a millisecond longer. */
    static final int RECORDS_FOR_A_MILLISECOND = 200;

    /** The longest interval, unless the least is longer. */
    static final long LONGEST_MS = 50;

    /** A batch of so many bytes leaves at once. */
    static final long MOST_BYTES = 1 << 20;

    private final long leastMs;
    private transient PackedRecords records;
    private transient StreamRecord<byte[]> batch;
    private transient ScheduledFuture<?> timer;
    private transient long intervalMs;
    private transient long emittedMs;

    /** A batch leaves {@code leastMs} after the one before, while batches are small. */
    public BatchRecords(long leastMs) {
        this.leastMs = leastMs;
    }

    @Override
    public void open() throws Exception {
        super.open();
        records = new PackedRecords();
        batch = new StreamRecord<>(null);
        intervalMs = leastMs;
    }

    @Override
    public void processElement(StreamRecord<RowData> element) {
        if (records.size() == 0) {
            long now = getProcessingTimeService().getCurrentProcessingTime();
            // No later than an interval from now, should the clock have been set back.
            long due = Math.max(now, Math.min(emittedMs, now) + intervalMs);
            timer = getProcessingTimeService().registerTimer(due, this);
        }
        RowData row = element.getValue();
        records.add(
                row.isNullAt(0) ? null : row.getBinary(0),
                row.isNullAt(1) ? null : row.getBinary(1),
                row.getInt(2),
                row.getLong(3),
                row.getTimestamp(4, 3).getMillisecond());
        if (records.bytes() >= MOST_BYTES) {
            emit();
        }
    }

    @Override
    public void onProcessingTime(long time) {
        emit();
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) {
        emit();
    }

    @Override
    public void finish() throws Exception {
        emit();
        super.finish();
    }

    private void emit() {
        int n = records.size();
        if (n == 0) {
            return;
        }
        timer.cancel(false);
        intervalMs = Math.max(leastMs, Math.min(leastMs + n / RECORDS_FOR_A_MILLISECOND, LONGEST_MS));
        boolean large = records.bytes() > 2 * MOST_BYTES;
        output.collect(batch.replace(records.take()));
        // Once it is taken: else a small batch would follow a large one that had to wait for the join.
        emittedMs = getProcessingTimeService().getCurrentProcessingTime();
        if (large) {
            // What it grew by for one large record is not kept for good.
            records = new PackedRecords();
        }
    }
}
