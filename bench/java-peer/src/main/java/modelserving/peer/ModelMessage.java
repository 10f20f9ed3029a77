package modelserving.peer;

/** A message of the model log on its way to one lane of its data type. */
public final class ModelMessage {

  /** Where it is joined; see {@link Lanes}. */
  public String key;

  /** The encoded descriptor. */
  public byte[] descriptor;

  /** For Flink. */
  public ModelMessage() {}
}
