package modelserving.peer;

/** A message that leaves the job. */
public final class Outgoing {

  /** Whether it says that a record was turned away, instead of holding a result. */
  public boolean rejected;

  public byte[] key;

  public byte[] value;

  /** For Flink. */
  public Outgoing() {}

  static Outgoing of(boolean rejected, byte[] key, byte[] value) {
    Outgoing outgoing = new Outgoing();
    outgoing.rejected = rejected;
    outgoing.key = key;
    outgoing.value = value;
    return outgoing;
  }
}
