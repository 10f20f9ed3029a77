package modelserving.peer;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.ArchiveEntry;
import org.apache.commons.compress.archivers.ArchiveException;
import org.apache.commons.compress.archivers.ArchiveInputStream;
import org.apache.commons.compress.archivers.ArchiveStreamFactory;

/** Zip and tar archives of folders. */
final class Archives {

  private Archives() {}

  /**
   * Unpack an archive.
   *
   * @return the folder below `folder` that holds the file `landmark`
   * @throws IOException it cannot be read, leaves the folder, or has no such file
   */
  static Path unpack(InputStream archive, Path folder, String landmark) throws IOException {
    try (ArchiveInputStream<?> entries =
        new ArchiveStreamFactory().createArchiveInputStream(new BufferedInputStream(archive))) {
      for (ArchiveEntry entry = entries.getNextEntry(); entry != null; entry = entries.getNextEntry()) {
        Path path = folder.resolve(entry.getName()).normalize();
        if (!path.startsWith(folder)) {
          throw new IOException("an entry of the archive leaves its folder: " + entry.getName());
        }
        if (entry.isDirectory()) {
          Files.createDirectories(path);
        } else {
          Files.createDirectories(path.getParent());
          Files.copy(entries, path);
        }
      }
    } catch (ArchiveException error) {
      throw new IOException("neither a zip nor a tar", error);
    }
    try (Stream<Path> paths = Files.walk(folder)) {
      return paths
          .filter(path -> path.endsWith(landmark))
          .findFirst()
          .orElseThrow(() -> new IOException("no " + landmark + " in the archive"))
          .getParent();
    }
  }
}
