from __future__ import annotations

import io

from hybrid.cli.terminal import Terminal, aligned, bar, duration, size


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_passing_line_makes_room() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    terminal.update("working")
    terminal.line("done")
    assert screen.getvalue() == "working\r\x1b[Kdone\n"


def test_elsewhere_there_are_lines_only() -> None:
    file = io.StringIO()
    terminal = Terminal(file)
    terminal.update("[##..]", plain=False)
    terminal.update("50 actions/s")
    terminal.close()
    assert file.getvalue() == "50 actions/s\n"


def test_words() -> None:
    assert bar(1, 2, "half") == "[############............] 1/2 half"
    assert aligned([("a", "bb"), ("ccc", "d")]) == ["a    bb", "ccc  d"]
    assert (size(None), size(900), size(3 << 20)) == ("unknown", "900 B", "3.0 MiB")
    assert (duration(None), duration(2.0), duration(7200)) == ("unknown", "2.0 s", "2.0 h")
