package modelserving.functions;

import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Hands rows (key, value) on, and has empty ones follow: a clock for a Python function that looks for what its threads
 * have done since. They follow close at first, and then less so, until so long has passed since the last row that
 * nothing can come any more.
 *
 * <p>A Python function cannot be its own clock: a timer that registers the next one, while a job stops with a savepoint,
 * fails the job.
 */
public final class Pulse extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Row, Row>, ProcessingTimeCallback {
    private static final long serialVersionUID = 1L;

    /** A pulse comes after this part of the time that has passed since the last row, if that is longer. */
    private static final int PART = 8;

    /** But never later than this: so late is noticed what is done by a deadline. */
    private static final long LONGEST_MS = 40;

    private final long everyMs;
    private final long forMs;

    private transient long lastRowMs;
    private transient boolean beating;

    /** Pulses follow every {@code everyMs} at first, for {@code forMs} in all. */
    public Pulse(long everyMs, long forMs) {
        this.everyMs = everyMs;
        this.forMs = forMs;
    }

    @Override
    public void processElement(StreamRecord<Row> row) {
        output.collect(row);
        lastRowMs = getProcessingTimeService().getCurrentProcessingTime();
        if (!beating) {
            beating = true;
            beat(lastRowMs);
        }
    }

    @Override
    public void onProcessingTime(long timestamp) {
        output.collect(new StreamRecord<>(Row.of("", new byte[0])));
        long now = getProcessingTimeService().getCurrentProcessingTime();
        beating = now - lastRowMs < forMs;
        if (beating) {
            beat(now);
        }
    }

    private void beat(long now) {
        long laterMs = Math.max(everyMs, Math.min(LONGEST_MS, (now - lastRowMs) / PART));
        getProcessingTimeService().registerTimer(now + laterMs, this);
    }
}
