#!/usr/bin/env python3
"""What a user at a terminal sees, through a pseudo-terminal: run_terminal.py [NAME…]"""
import errno
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", pathlib.Path(__file__).resolve().parent.parent / "build"))
PROMPT = "ready> "


class Session:
    """A command at a terminal of its own."""

    def __init__(self, *arguments, rows=24, columns=200, cache=BUILD / "tests", term="dumb"):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Whoever runs the tests under nohup has it ignored.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "TERM": term,
                           "XDG_CACHE_HOME": str(cache)}
            os.execve(BUILD / "cordon", [str(BUILD / "cordon"), *arguments], environment)
        self.resize(rows, columns)
        self.seen = ""
        self.status = None

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_some(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            raise AssertionError(f"timed out; seen: {self.seen[-500:]!r}")
        try:
            data = os.read(self.fd, 4096)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            raise EOFError
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, pattern, seconds=10):
        """Waits for a regular expression in what was not consumed yet; returns the match."""
        until = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            try:
                self.read_some(until)
            except EOFError:
                raise AssertionError(f"ended; no {pattern!r} in {self.seen[-500:]!r}") from None
        self.seen = self.seen[match.end():]
        return match

    def type(self, text):
        os.write(self.fd, text.encode())

    def run(self, line, pattern=""):
        """Types a line at the prompt; what it printed must match. Returns when the prompt is back."""
        self.type(line + "\r")
        self.expect(re.escape(line) + "\n")
        match = self.expect(f"(?s)^{pattern}.*?{PROMPT}" if pattern else f"(?s)^(.*?){PROMPT}")
        return match

    def end(self, seconds=10):
        """Waits for the end; returns the exit status."""
        until = time.monotonic() + seconds
        try:
            while True:
                self.read_some(until)
        except EOFError:
            pass
        return self.wait(until)

    def wait(self, until):
        while self.status is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        assert self.status is not None, "did not end"
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def shell(**size):
    session = Session("sh", **size)
    session.expect(r"\$ ")
    session.type(f"PS1='{PROMPT}'\r")
    session.expect("(?s)PS1=.*\n.*" + PROMPT)
    return session


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def a_prompt_appears_and_control_d_ends(session):
    session.run("echo $((6 * 7))", "42\n")
    session.run("tty", "/dev/pts/0\n")
    session.run("echo $TERM $-", r"dumb himB.*\n")
    session.type("\x04")
    equal(session.end(), 0)


def exit_gives_the_status(session):
    session.type("exit 7\r")
    equal(session.end(), 7)


def control_c_interrupts_a_loop(session):
    session.type("while :; do :; done\r")
    time.sleep(0.3)
    session.type("\x03")
    session.expect(r"\^C\n.*" + PROMPT)
    session.run("echo $?", "130\n")


def control_c_interrupts_a_program(session):
    session.type("sleep 100\r")
    time.sleep(0.3)
    session.type("\x03")
    session.expect(r"\^C\n.*" + PROMPT)
    session.run("echo $?", "130\n")


def control_c_drops_the_line(session):
    session.type("echo never")
    session.expect("never")
    session.type("\x03")
    session.expect(PROMPT)
    session.run("echo next", "next\n")


def a_trap_decides_what_control_c_does(session):
    session.run("printf '%s\\n' \"trap 'echo caught; exit 3' INT\" 'while :; do :; done' >t")
    session.type("bash t; echo status $?\r")
    time.sleep(0.3)
    session.type("\x03")
    session.expect("caught\nstatus 3\n" + PROMPT)


def control_z_stops_fg_and_bg_continue(session):
    session.type("sleep 100\r")
    time.sleep(0.3)
    session.type("\x1a")
    session.expect(r"Stopped +sleep 100\n.*" + PROMPT)
    session.run("jobs", r"\[1\]\+ +Stopped +sleep 100\n")
    session.run("bg", r"\[1\]\+ sleep 100 &\n")
    session.run("jobs", r"\[1\]\+ +Running +sleep 100 &\n")
    session.type("fg\r")
    session.expect("fg\nsleep 100\n")
    time.sleep(0.1)
    session.type("\x03")
    session.expect(PROMPT)
    session.run("echo $?", "130\n")


def a_stopped_pipeline_goes_on(session):
    session.type("(sleep 0.2; echo one; sleep 0.5; echo two) | cat\r")
    session.expect("one\n")
    session.type("\x1a")
    session.expect(r"Stopped[^\n]*\n(.*\n)*?.*" + PROMPT)
    session.type("fg\r")
    session.expect("two\n" + PROMPT)


def jobs_are_killed_by_number(session):
    session.run("sleep 100 &", r"\[1\] \d+\n")
    session.run("kill %1; wait %1; echo $?", r"(.*Terminated.*\n)?143\n")


def the_window_size_follows(session):
    session.run("stty size", "24 200\n")
    session.run("trap 'echo resized' WINCH")
    session.resize(50, 132)
    session.expect("resized")
    session.type("\r")
    session.expect(PROMPT)
    session.run("stty size", "50 132\n")


def a_line_is_edited_by_the_terminal(session):
    # The shell has given its own way of reading up by then.
    session.type("echo rea''dy; cat\r")
    session.expect("\nready\n")
    session.type("helpx\x7f\x7flo\r")
    session.expect("\nhello\n")
    session.type("one two\x17three\r")
    session.expect("\none three\n")
    session.type("nothing\x15kept\r")
    session.expect("\nkept\n")
    session.type("a\x16\x03b\r")
    session.expect("\na\x03b\n")
    session.type("\x04")
    session.expect(PROMPT)


def echo_is_switched_off(session):
    session.type("read -s secret; echo \"<$secret>\"\r")
    session.expect("secret>\"\n")
    time.sleep(0.2)
    session.type("hidden\r")
    session.expect("^<hidden>\n" + PROMPT)
    session.run("stty -echo; stty -a | grep -o -- '-echo ' ; stty echo", "-echo \n")


def a_background_job_that_reads_is_stopped(session):
    session.run("cat &", r"\[1\] \d+\n")
    time.sleep(0.2)
    session.run("jobs", r"\[1\]\+ +Stopped +cat\n")
    session.run("kill -9 %1; wait %1 2>/dev/null; echo $?", r"(.*Killed.*\n)?137\n")


def a_background_job_that_writes_is_stopped_if_asked_for(session):
    session.run("stty tostop; (sleep 0.1; echo out) &", r"\[1\] \d+\n")
    time.sleep(0.4)
    session.run("jobs", r"\[1\]\+ +Stopped.*\n")
    session.run("stty -tostop")
    session.type("fg\r")
    session.expect("out\n" + PROMPT)


def readline_edits_and_remembers(session):
    session.run("echo first", "first\n")
    session.type("\x10")
    session.expect("echo first")
    session.type("\x01\x0b" + "echo abc\x02\x02X\r")
    session.expect("\naXbc\n" + PROMPT)


def a_program_reads_single_keys(session):
    session.type("read -n 1 key; echo \"[$key]\"\r")
    session.expect("key\\]\"\n")
    time.sleep(0.2)
    session.type("q")
    session.expect(r"q?\[q\]\n" + PROMPT)


def a_terminal_of_tmux_is_left_and_found_again(session):
    # Keys that come faster than a person's are text for it, and no commands.
    session.type("TERM=xterm tmux new-session 'PS1=in-\"\"tmux: sh -i' \\; set -g assume-paste-time 0\r")
    session.expect("in-tmux:")
    session.type("echo \"<$((6 * 7))>\"\r")
    session.expect("<42>")
    session.type("\x02d")
    session.expect("\\[detached \\(from session 0\\)\\]\n" + PROMPT)
    session.type("TERM=xterm tmux attach\r")
    session.expect("<42>")
    session.type("exit\r")
    session.expect("\\[exited\\]\n" + PROMPT)


def the_terminal_test_program_passes(_):
    session = Session("run", "--module", str(BUILD / "guest/tests/terminal.wasm"), "--", "terminal.wasm")
    try:
        session.expect("0: tty 1, name /dev/pts/0, 200x24\n1: tty 1")
        session.expect("canonical 1, echo 1, foreground group is ours 1\nraw: 0, restored: 0\n")
        equal(session.end(20), 0)
    finally:
        session.close()


def a_compilation_shows_how_far_it_is(_):
    with tempfile.TemporaryDirectory() as cache:
        session = Session("run", "--run-module", str(BUILD / "guest/rootfs/usr/bin/git"), "--", "--version", cache=cache, term="xterm")
        try:
            session.expect(r"\r\x1b\[Kcordon: compiling .*git, \d+ of \d+, \d+ s", 60)
            session.expect(r"\r\x1b\[Kgit version .*\n", 60)
            equal(session.end(), 0)
        finally:
            session.close()


def a_command_at_a_terminal(_):
    session = Session("run", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; exit 5", rows=30, columns=90)
    try:
        session.expect("30 90\n")
        equal(session.end(), 5)
    finally:
        session.close()


def interrupted(text):
    """Between the first line's last call and the second line's loop."""
    assert re.fullmatch(r'Traceback \(most recent call last\):\n  File "<string>", line [12], in <module>\nKeyboardInterrupt\n', text), text


def control_c_is_an_exception_to_python(_):
    session = Session("run", "--", "python3", "-c", "print('up', flush=True)\nwhile True: pass")
    try:
        session.expect("up\n")
        session.type("\x03")
        equal(session.end(), 130)
        interrupted(session.seen.removeprefix("^C"))
    finally:
        session.close()


def an_interrupt_from_outside_is_one_too(_):
    """Of a command without a terminal."""
    with subprocess.Popen([BUILD / "cordon", "run", "--", "python3", "-c", "print('up', flush=True)\nwhile True: pass"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        equal(process.stdout.readline(), "up\n")
        process.send_signal(signal.SIGINT)
        equal(process.wait(20), 130)
        interrupted(process.stderr.read())


def the_terminal_is_restored(_):
    """After the command, and when cordon is told to end."""
    for number in (None, signal.SIGTERM, signal.SIGHUP):
        session = Session("sh")
        try:
            session.expect(r"\$ ")
            assert not termios.tcgetattr(session.fd)[3] & termios.ICANON, "not raw"
            if number is None:
                session.type("exit\r")
            else:
                os.kill(session.pid, number)
            session.wait(time.monotonic() + 15)
            # As a new terminal is.
            usual = termios.ICANON | termios.ECHO | termios.ISIG
            equal(termios.tcgetattr(session.fd)[3] & usual, usual)
        finally:
            session.close()


IN_A_SHELL = [a_prompt_appears_and_control_d_ends, exit_gives_the_status, control_c_interrupts_a_loop, control_c_interrupts_a_program,
              control_c_drops_the_line, a_trap_decides_what_control_c_does, control_z_stops_fg_and_bg_continue,
              a_stopped_pipeline_goes_on, jobs_are_killed_by_number, the_window_size_follows, a_line_is_edited_by_the_terminal,
              echo_is_switched_off, a_background_job_that_reads_is_stopped, a_background_job_that_writes_is_stopped_if_asked_for,
              readline_edits_and_remembers, a_program_reads_single_keys,
              a_terminal_of_tmux_is_left_and_found_again]
ALONE = [a_command_at_a_terminal, control_c_is_an_exception_to_python, an_interrupt_from_outside_is_one_too,
         a_compilation_shows_how_far_it_is, the_terminal_test_program_passes, the_terminal_is_restored]


def run(test):
    session = shell() if test in IN_A_SHELL else None
    try:
        test(session)
    finally:
        if session:
            session.close()


def main(wanted):
    passed = failed = 0
    for test in IN_A_SHELL + ALONE:
        name = test.__name__.replace("_", " ")
        if wanted and name not in wanted and test.__name__ not in wanted:
            continue
        try:
            run(test)
            passed += 1
            print(f"ok   terminal: {name}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAIL terminal: {name}\n     {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
