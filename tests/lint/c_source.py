"""C sources without their comments and strings, and the functions in them."""
import re


def tokens_blanked(text, keep_strings=False):
    """Comments (and, unless told, the inside of strings) replaced by blanks; lines stay where they are."""
    out, i, n = [], 0, len(text)
    while i < n:
        if text.startswith("/*", i):
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
        elif text.startswith("//", i):
            end = text.find("\n", i)
            end = n if end < 0 else end
        elif text[i] in "\"'":
            end = i + 1
            while end < n and text[end] != text[i]:
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, n)
            literal = text[i:end]
            out.append(literal if keep_strings else literal[0] + re.sub(r"[^\n]", " ", literal[1:-1]) + literal[-1:])
            i = end
            continue
        else:
            out.append(text[i])
            i += 1
            continue
        out.append(re.sub(r"[^\n]", " ", text[i:end]))
        i = end
    return "".join(out)


def strings(text):
    """(line, literal) of every string, adjacent ones joined."""
    blanked = tokens_blanked(text, keep_strings=True)
    one = r'"(?:[^"\\\n]|\\.)*"'
    # A character literal may hold a quote: take it as a token of its own.
    for match in re.finditer(r"'(?:[^'\\\n]|\\.)*'|(%s(?:\s*%s)*)" % (one, one), blanked):
        if match.group(1):
            yield blanked.count("\n", 0, match.start()) + 1, "".join(s[1:-1] for s in re.findall(one, match.group(1)))


def functions(text):
    """(name, line, length in lines) of every function body at the top level.

    House style: the body's braces stand in column one.
    """
    lines = tokens_blanked(text).split("\n")
    name_line, name = 0, ""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            match = re.match(r"(?:[A-Za-z_].*?\b)?([A-Za-z_]\w*)\s*\(", line)
            if match and not line.startswith("#") and not line.rstrip().endswith(";"):
                name, name_line = match.group(1), number
            if line.startswith("{") and name:
                start = number
        elif line.startswith("}"):
            yield name, name_line, number - name_line + 1
            start, name = None, ""
