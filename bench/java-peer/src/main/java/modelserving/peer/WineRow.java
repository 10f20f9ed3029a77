package modelserving.peer;

/** A record on its way to the join. A class with fields, as Flink's fastest general serializer wants it. */
public final class WineRow {

  /** Where it is joined; see {@link Lanes}. */
  public String key;

  public String dataType;

  /** Null if the message cannot be read. */
  public double[] features;

  public byte[] messageKey;

  /** The message that cannot be read, else null. */
  public byte[] unreadable;

  public int partition;

  public long offset;

  public long timestampMs;

  /** For Flink. */
  public WineRow() {}
}
