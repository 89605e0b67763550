"""The JavaScript client as a package: size, types, and the typed examples of docs/front-ends.md."""

import gzip
import json
import re
from pathlib import Path

from tests import npm

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
}


def example(language: str) -> str:
    """The first code of docs/front-ends.md between fences of that language."""
    text = (ROOT / "docs" / "front-ends.md").read_text(encoding="utf-8")
    match = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert match, language
    return match[1]


def tsc(folder: Path, options: dict[str, object], *files: str) -> str:
    """What TypeScript says of `files` in `folder`, as if the packages and the client were installed there."""
    modules = npm.modules()
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    entry = package["exports"]["."]
    assert (WEB / entry["default"]).is_file()
    paths = {package["name"]: [str(WEB / entry["types"])], "*": [f"{modules}/*", f"{modules}/@types/*"]}
    settings = {"compilerOptions": {**STRICT, **options, "paths": paths}, "files": list(files)}
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    return npm.run(modules / "typescript" / "bin" / "tsc", "-p", ".", cwd=folder).stdout


def test_the_client_is_small() -> None:
    """R-17: 4 kB on the wire, comments included, for it is served as it is."""
    assert len(gzip.compress((WEB / "client.js").read_bytes(), 9)) <= 4_000


def test_the_client_imports_nothing() -> None:
    """R-17: one file, and no other address in it."""
    text = (WEB / "client.js").read_text(encoding="utf-8")
    assert not re.search(r"^\s*import\s|\brequire\(|\bimport\(", text, re.MULTILINE)
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    assert not {"dependencies", "peerDependencies"} & set(package)
    assert sorted(package["files"]) == ["client.d.ts", "client.js"]


def test_the_type_declarations_are_those_of_the_comments(tmp_path: Path) -> None:
    """R-17: TypeScript finds no fault in client.js, and client.d.ts is what it writes for it.

    After a change: copy the file that the message names.
    """
    (tmp_path / "client.js").write_bytes((WEB / "client.js").read_bytes())
    options = {"allowJs": True, "checkJs": True, "declaration": True, "emitDeclarationOnly": True, "outDir": "out"}
    loose = {"exactOptionalPropertyTypes": False, "noUncheckedIndexedAccess": False}
    assert tsc(tmp_path, {**options, **loose}, "client.js") == ""
    written = tmp_path / "out" / "client.d.ts"
    assert (WEB / "client.d.ts").read_text(encoding="utf-8") == written.read_text(encoding="utf-8"), str(written)


def test_the_examples_for_react_and_for_microsofts_client_have_the_right_types(tmp_path: Path) -> None:
    """R-17: as somebody would paste them into a strict project."""
    (tmp_path / "notebooks.tsx").write_text(example("tsx"), encoding="utf-8")
    (tmp_path / "graph.ts").write_text(example("ts"), encoding="utf-8")
    options: dict[str, object] = {"noEmit": True, "jsx": "react-jsx", "skipLibCheck": True}
    assert tsc(tmp_path, options, "notebooks.tsx", "graph.ts") == ""


def test_the_types_find_a_mistake(tmp_path: Path) -> None:
    """R-17: a kind of account that there is not, a field that no session has, a code that is a number."""
    (tmp_path / "wrong.ts").write_text(
        "import { BundleError, PermissionMissing, session, signIn } from 'onenote-auth'\n"
        "signIn({ account: 'school' })\n"
        "const now = await session()\n"
        "now.access_token\n"
        "try { } catch (error) {\n"
        "  if (error instanceof PermissionMissing) { const n: number = error.code }\n"
        "  if (error instanceof BundleError) { const right: string | undefined = error.link }\n"
        "}\n"
        "export {}\n",
        encoding="utf-8",
    )
    said = tsc(tmp_path, {"noEmit": True}, "wrong.ts")
    assert re.findall(r"wrong\.ts\((\d+),", said) == ["2", "4", "6"], said


def test_importing_the_client_needs_no_page(tmp_path: Path) -> None:
    """R-17: a framework that renders on a server imports it there, too."""
    script = tmp_path / "server.mjs"
    address = (WEB / "client.js").as_uri()
    script.write_text(f"import {{ fetch }} from '{address}'; console.log(typeof fetch)", encoding="utf-8")
    assert npm.run(script, cwd=tmp_path).stdout == "function\n"
