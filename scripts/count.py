#!/usr/bin/env python3
"""Counts what tells how hard the project is to read: the size of files and functions, who reaches into `Swim`, words that
name no actor, comments that say why, chains of combinators. Tests are left out; so are fuzz targets and benches. Of the
documents it counts words and sentences that name no actor.

    scripts/count.py [TREE]         TREE is this clone, if none is given

To compare with another commit: git worktree add /tmp/before COMMIT && scripts/count.py /tmp/before
"""

import pathlib
import re
import sys

ACTORLESS = re.compile(r"\b(whoever|whomever|somebody|nobody|anybody|everybody)\b", re.IGNORECASE)
GENDERED = re.compile(r"\b(he|his|him|himself)\b", re.IGNORECASE)

# A sentence, a cell of a table or an item of a list that begins so names no actor. Headings are left out.
NO_SUBJECT = re.compile(
    r"(?:^|[.!?:;]\s+|\|\s*|[-*]\s+|\*\*|\()(?:Who|Whoever|Whom|Whose|Of whom|What)\b|\|\s*(?:who|whom|whose)\b",
    re.MULTILINE,
)

# Those of Option, Result and Iterator that hide a branch or a loop.
COMBINATORS = re.compile(
    r"\.(?:map|map_or|map_or_else|map_err|and_then|or_else|ok_or|ok_or_else|then|then_some|filter|filter_map|flat_map"
    r"|fold|try_fold|for_each|try_for_each|any|all|find|find_map|position|zip|chain|take_while|skip_while|map_while|scan"
    r"|is_some_and|is_none_or|is_ok_and|unwrap_or|unwrap_or_else|unwrap_or_default|min_by|min_by_key|max_by|max_by_key)\("
)

TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)
      | (?P<block>/\*.*?\*/)
      | (?P<raw>b?r(?P<hashes>\#*)".*?"(?P=hashes))
      | (?P<string>b?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\[^\n]+?|[^'\\\n])')""",
    re.VERBOSE | re.DOTALL,
)


class File:
    """A Rust file, without its tests: `code` has neither comments nor the insides of strings."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text()
        tests = re.search(r"^#\[cfg\(test\)\]\nmod \w+ \{", self.text, re.MULTILINE)
        if tests is not None:
            self.text = self.text[: tests.start()]
        self.reasons = 0
        self.code = TOKEN.sub(self._strip, self.text)

    def _strip(self, match):
        token = match.group()
        if match.lastgroup in ("line", "block"):
            if not token.startswith(("///", "//!")):
                self.reasons += 1
        blank = '""' if '"' in token and not token.startswith("/") else ""
        return blank + "\n" * token.count("\n")

    def lines(self):
        return self.text.count("\n")

    def code_lines(self):
        return sum(1 for line in self.code.split("\n") if line.strip())

    def functions(self):
        """The functions that have a body: (lines, name)."""
        for match in re.finditer(r"^( *)(?:pub(?:\([\w: ]+\))? )?(?:const |async |unsafe |extern \"\" )*fn (\w+)",
                                 self.code, re.MULTILINE):
            begin = self.code.find("{", match.end())
            semicolon = self.code.find(";\n", match.end())
            if begin < 0 or 0 <= semicolon < begin:
                continue
            end = self.code.find("\n" + match.group(1) + "}", begin)
            yield self.code.count("\n", match.start(), end) + 2, match.group(2)


def rust_files(tree):
    roots = [tree / "crates", tree / "src"]
    for path in sorted(path for root in roots for path in root.glob("**/*.rs")):
        parts = path.relative_to(tree).parts
        if "tests" in parts or "examples" in parts or path.name in ("tests.rs", "vectors.rs"):
            continue
        yield File(path)


def blocks_of(code, name):
    """The texts of all `impl NAME` blocks."""
    for match in re.finditer(r"^impl(?:<[^>]*>)? " + name + r"\b[^;{]*\{", code, re.MULTILINE):
        yield code[match.end() : code.find("\n}", match.end())]


def struct(files, name):
    """Where the methods of a struct are, how many they are, and how many fields it has."""
    inside = [file for file in files if any(blocks_of(file.code, name))]
    methods = sum(len(re.findall(r"\bfn \w+", block)) for file in inside for block in blocks_of(file.code, name))
    fields = 0
    for file in files:
        declaration = r"^pub(?:\(crate\))? struct " + name + r"\b[^;{]*\{(.*?)\n\}"
        match = re.search(declaration, file.code, re.MULTILINE | re.DOTALL)
        if match is not None:
            fields = len(re.findall(r"^    (?:pub(?:\([\w: ]+\))? )?\w+:", match.group(1), re.MULTILINE))
    return f"{len(inside)} files, {methods} methods, {fields} fields"


def texts(tree):
    """All that people read of the program: sources of what ships and of the simulator, in Rust and in Lua."""
    for file in rust_files(tree):
        yield file.text
    for path in sorted((tree / "lua").glob("**/*.lua")):
        yield path.read_text()


def words(tree, pattern):
    return sum(len(pattern.findall(text)) for text in texts(tree))


def documents(tree):
    """The prose of what users, operators and contributors read: blocks of code and headings are left out, and lines of
    one paragraph are joined."""
    for path in sorted([*tree.glob("*.md"), *tree.glob("doc/*.md")]):
        prose = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^#.*$", "", prose, flags=re.MULTILINE)
        yield re.sub(r"(?<=[^\n|])\n(?=[^\n|#-])", " ", prose)


def count_in_documents(tree, pattern):
    return sum(len(pattern.findall(prose)) for prose in documents(tree))


def main():
    tree = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    files = list(rust_files(tree))
    router = [file for file in files if file.path.parent.name == "router"]
    largest = max(files, key=File.lines)
    longest, name = max(function for file in files for function in file.functions())
    code = sum(file.code_lines() for file in files)
    reasons = sum(file.reasons for file in files)
    combinators = sum(len(COMBINATORS.findall(file.code)) for file in files)
    rows = [
        ("lines of Rust code, without blank lines and comments", code),
        ("largest file before its tests", f"{largest.lines()} ({largest.path.relative_to(tree)})"),
        ("largest function, with its signature", f"{longest} ({name})"),
        ("`impl Swim`", struct(files, "Swim")),
        ("`impl Turn`, in the protocol's router", struct(router, "Turn")),
        ("whoever, somebody, nobody, anybody, everybody", words(tree, ACTORLESS)),
        ("he, his, him", words(tree, GENDERED)),
        ("`//` comments that say why, a hundred lines of code", f"{100 * reasons / code:.1f}"),
        ("combinators, a hundred lines of code", f"{100 * combinators / code:.1f}"),
        ("documents: whoever, somebody, nobody, anybody, everybody", count_in_documents(tree, ACTORLESS)),
        ("documents: he, his, him", count_in_documents(tree, GENDERED)),
        ("documents: sentences that begin with who or what", count_in_documents(tree, NO_SUBJECT)),
        ("README, lines", (tree / "README.md").read_text().count("\n")),
    ]
    for row, figure in rows:
        print(f"{row:60} {figure}")


if __name__ == "__main__":
    main()
