// The address says which data type is shown: `#type=NAME`, or `#all`.

const PREFIX = "#type=";

export const hashOf = (dataType) => PREFIX + encodeURIComponent(dataType);

/** The chosen data type; null: all of them. Without a choice, the only one there is. */
export function chosenOf(hash, dataTypes) {
  if (hash.startsWith(PREFIX)) return decoded(hash.slice(PREFIX.length));
  return hash === "" && dataTypes.length === 1 ? dataTypes[0] : null;
}

/** Somebody may have typed it. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
