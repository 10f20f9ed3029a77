"""Generate `modelserving/wire/` from the `.proto` files beside this script.

Usage: python proto/generate.py [OUTPUT_FOLDER]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
DEFAULT_OUTPUT = PROTO.parent / "modelserving" / "wire"


def generate(output: Path) -> None:
    """Write the Python modules and their stubs, and the descriptor set of the wine example, to `output`."""
    sources = sorted(path.name for path in PROTO.glob("*.proto"))
    arguments = ["protoc", f"--proto_path={PROTO}", f"--python_out={output}", f"--pyi_out={output}", *sources]
    if protoc.main(arguments):
        raise SystemExit("protoc failed: see its message above")
    descriptor_set = ["protoc", f"--proto_path={PROTO}", f"--descriptor_set_out={output / 'wine.binpb'}", "wine.proto"]
    if protoc.main(descriptor_set):
        raise SystemExit("protoc failed: see its message above")
    for path in [*output.glob("*_pb2.py"), *output.glob("*_pb2.pyi")]:
        # protoc writes absolute imports of sibling files; they live in a package here.
        text = re.sub(r"^import (\w+_pb2) as", r"from modelserving.wire import \1 as", path.read_text(), flags=re.M)
        path.write_text(re.sub(r"^import (\w+_pb2)$", r"from modelserving.wire import \1", text, flags=re.M))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUTPUT)
