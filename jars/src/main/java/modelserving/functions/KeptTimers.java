package modelserving.functions;

import java.lang.reflect.Field;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.SimpleOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorFactory;
import org.apache.flink.streaming.api.operators.python.process.AbstractExternalDataStreamPythonFunctionOperator;
import org.apache.flink.streaming.api.operators.python.process.ExternalPythonKeyedCoProcessOperator;
import org.apache.flink.streaming.api.operators.python.process.ExternalPythonKeyedProcessOperator;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.api.transformations.TwoInputTransformation;
import org.apache.flink.types.Row;

/**
 * Has the timers of Python functions be in each checkpoint.
 *
 * <p>A timer that a Python function registers reaches Flink as a mail to the task, and that is read when what the task
 * is doing is done. If that is a checkpoint, the state that the function has written is in it, and the timer is not:
 * Flink 2.3 does not wait. After a restore such a timer never fires. The operators here register those that have come
 * before the barrier leaves.
 */
public final class KeptTimers {
    private KeptTimers() {}

    /** Puts such operators in the place of Flink's, in these transformations and all that lead to them. */
    public static void keep(List<Transformation<?>> transformations) throws ReflectiveOperationException {
        for (Transformation<?> last : transformations) {
            for (Transformation<?> each : last.getTransitivePredecessors()) {
                if (each instanceof OneInputTransformation<?, ?> one
                        && operator(one.getOperatorFactory()) instanceof ExternalPythonKeyedProcessOperator<?> flinks
                        && !(flinks instanceof KeyedProcess)) {
                    replace(one, flinks, new KeyedProcess<>(flinks));
                } else if (each instanceof TwoInputTransformation<?, ?, ?> two
                        && operator(two.getOperatorFactory()) instanceof ExternalPythonKeyedCoProcessOperator<?> flinks
                        && !(flinks instanceof KeyedCoProcess)) {
                    replace(two, flinks, new KeyedCoProcess<>(flinks, two.getInputType1(), two.getInputType2()));
                }
            }
        }
    }

    private static StreamOperator<?> operator(StreamOperatorFactory<?> factory) {
        return factory instanceof SimpleOperatorFactory<?> simple ? simple.getOperator() : null;
    }

    private static void replace(
            Transformation<?> transformation,
            AbstractExternalDataStreamPythonFunctionOperator<?> flinks,
            AbstractExternalDataStreamPythonFunctionOperator<?> ours)
            throws ReflectiveOperationException {
        ours.addSideOutputTags(flinks.getSideOutputTags());
        Field factory = transformation.getClass().getDeclaredField("operatorFactory");
        factory.setAccessible(true);
        factory.set(transformation, SimpleOperatorFactory.of(ours));
    }

    private static final class KeyedProcess<OUT> extends ExternalPythonKeyedProcessOperator<OUT> {
        private static final long serialVersionUID = 1L;

        private KeyedProcess(ExternalPythonKeyedProcessOperator<OUT> flinks) {
            this(
                    flinks.getConfiguration(),
                    flinks.getPythonFunctionInfo(),
                    (RowTypeInfo) flinks.getInputTypeInfo(),
                    flinks.getProducedType());
        }

        private KeyedProcess(
                Configuration configuration,
                DataStreamPythonFunctionInfo function,
                RowTypeInfo input,
                TypeInformation<OUT> output) {
            super(configuration, function, input, output);
        }

        @Override
        public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
            super.prepareSnapshotPreBarrier(checkpointId);
            drainUnregisteredTimers();
        }

        /** Flink copies an operator to chain others to it. */
        @Override
        public <T> AbstractExternalDataStreamPythonFunctionOperator<T> copy(
                DataStreamPythonFunctionInfo function, TypeInformation<T> output) {
            return new KeyedProcess<>(config, function, (RowTypeInfo) getInputTypeInfo(), output);
        }
    }

    private static final class KeyedCoProcess<OUT> extends ExternalPythonKeyedCoProcessOperator<OUT> {
        private static final long serialVersionUID = 1L;

        @SuppressWarnings("unchecked") // what passes between Python functions are rows
        private KeyedCoProcess(
                ExternalPythonKeyedCoProcessOperator<OUT> flinks, TypeInformation<?> first, TypeInformation<?> second) {
            this(
                    flinks.getConfiguration(),
                    flinks.getPythonFunctionInfo(),
                    (TypeInformation<Row>) first,
                    (TypeInformation<Row>) second,
                    flinks.getProducedType());
        }

        private KeyedCoProcess(
                Configuration configuration,
                DataStreamPythonFunctionInfo function,
                TypeInformation<Row> first,
                TypeInformation<Row> second,
                TypeInformation<OUT> output) {
            super(configuration, function, first, second, output);
        }

        @Override
        public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
            super.prepareSnapshotPreBarrier(checkpointId);
            drainUnregisteredTimers();
        }

        /** Flink copies an operator to chain others to it. */
        @Override
        public <T> AbstractExternalDataStreamPythonFunctionOperator<T> copy(
                DataStreamPythonFunctionInfo function, TypeInformation<T> output) {
            return new KeyedCoProcess<>(config, function, getLeftInputType(), getRightInputType(), output);
        }
    }
}
