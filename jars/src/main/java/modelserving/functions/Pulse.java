package modelserving.functions;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Hands rows (key, value) on, and has others follow, so that a Python function looks for what its threads have done
 * since. Those have an empty key, and as value the UDP port, in digits, of the loopback address where this listens: a
 * datagram to it has a row follow at once. Without one they follow at an interval, until so long has passed since the
 * last row, or the start, that nothing can come any more. So what a start has to do is done before the first row comes.
 *
 * <p>A Python function cannot be its own clock: a timer that registers the next one, while a job stops with a savepoint,
 * fails the job. The timers of an operator are dropped then.
 */
public final class Pulse extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Row, Row>, ProcessingTimeCallback {
    private static final long serialVersionUID = 1L;

    private static final byte[] LOOPBACK = {127, 0, 0, 1};

    private final long everyMs;
    private final long forMs;

    private transient DatagramSocket socket;
    private transient byte[] port;
    private transient AtomicBoolean woken;
    private transient boolean told;
    private transient boolean beating;
    private transient long lastRowMs;
    private transient long lastMs;

    /** Rows follow every {@code everyMs}, for {@code forMs} after the last. */
    public Pulse(long everyMs, long forMs) {
        this.everyMs = everyMs;
        this.forMs = forMs;
    }

    @Override
    public void open() throws Exception {
        super.open();
        woken = new AtomicBoolean();
        socket = new DatagramSocket(new InetSocketAddress(InetAddress.getByAddress(LOOPBACK), 0));
        port = Integer.toString(socket.getLocalPort()).getBytes(StandardCharsets.US_ASCII);
        Thread listener = new Thread(this::listen, getOperatorName() + "-wake");
        listener.setDaemon(true);
        listener.start();
        beat();
    }

    @Override
    public void processElement(StreamRecord<Row> row) {
        if (!told) {
            told = true;
            pulse();
        }
        output.collect(row);
        beat();
    }

    private void beat() {
        lastRowMs = lastMs = getProcessingTimeService().getCurrentProcessingTime();
        if (!beating) {
            beating = true;
            getProcessingTimeService().registerTimer(lastMs + everyMs, this);
        }
    }

    @Override
    public void onProcessingTime(long timestamp) {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        // What followed meanwhile was as good; later than now: the clock was set back.
        if (now - lastMs >= everyMs || now < lastMs) {
            lastMs = now;
            pulse();
        }
        beating = now - lastRowMs < forMs;
        if (beating) {
            getProcessingTimeService().registerTimer(lastMs + everyMs, this);
        }
    }

    @Override
    public void close() throws Exception {
        if (socket != null) {
            socket.close();
        }
        super.close();
    }

    private void listen() {
        DatagramPacket packet = new DatagramPacket(new byte[1], 1);
        try {
            while (true) {
                socket.receive(packet);
                if (woken.compareAndSet(false, true)) {
                    // A time that has passed: at once.
                    long now = getProcessingTimeService().getCurrentProcessingTime();
                    getProcessingTimeService().registerTimer(now - 1, this::wake);
                }
            }
        } catch (IOException | IllegalStateException ended) {
            // The socket was closed, or, in a task that ends, first its timers; else the clock is left.
        }
    }

    private void wake(long timestamp) {
        woken.set(false);
        lastMs = getProcessingTimeService().getCurrentProcessingTime();
        pulse();
    }

    private void pulse() {
        output.collect(new StreamRecord<>(Row.of("", port)));
    }
}
