package modelserving.peer;

import modelserving.Serving.ServingResult;

/** A loaded model; used by one thread. */
interface Scorer extends AutoCloseable {

  /**
   * Score one record.
   *
   * @param features in the order of {@link Features#NAMES}
   * @param result takes the answer
   */
  void score(double[] features, ServingResult.Builder result);

  @Override
  default void close() {}
}
