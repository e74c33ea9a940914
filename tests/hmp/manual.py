#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages say what help says, row by row, and groff has no word
against them.

    manual.py VMON GUEST VMON.1 VMON-MONITOR.7
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import run


def render(page):
    """groff takes it without a warning."""
    p = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True,
                       text=True, timeout=run.TIMEOUT, env=dict(os.environ, LC_ALL="C.UTF-8"))
    if p.returncode or p.stderr or len(p.stdout) < 1000:
        raise run.Failure("groff of %s: %s" % (page, p.stderr))


def plain(s):
    for roff, text in (("\\fB", ""), ("\\fP", ""), ("\\&", ""), ("\\-", "-"), ("\\(aq", "'"),
                       ("\\(ha", "^"), ("\\(ti", "~"), ("\\(ga", "`"), ("\\e", "\\")):
        s = s.replace(roff, text)
    return re.sub(r"\s+", " ", s).strip()


def manual_rows(page, title):
    """Tag and text of each paragraph that has a tag, in a section."""
    text = pathlib.Path(page).read_text()
    m = re.search(r'^\.SH "?%s"?\n(.*?)(?=^\.SH|\Z)' % re.escape(title), text, re.M | re.S)
    if not m:
        raise run.Failure("no section " + title)
    out = {}
    for part in m.group(1).split(".TP\n")[1:]:
        tag, _, rest = part.partition("\n")
        out[plain(re.sub(r"^\.B ", "", tag))] = plain(rest)
    return out


def help_rows(lines, prefix=""):
    """What `help` lists, in the manual's form."""
    out = {}
    for line in lines:
        usage, _, text = line.partition(" -- ")
        usage = usage[len(prefix):]
        names, _, params = usage.partition(" ")
        names = ", ".join(prefix + n for n in names.split("|"))
        out[plain(names + " " + params)] = plain(text)
    return out


def option_rows(vmon):
    text = subprocess.run([vmon, "-help"], capture_output=True, text=True,
                          timeout=run.TIMEOUT, check=True).stdout
    out = {}
    for m in re.finditer(r"^-(\S+) (.*)\n {16}(.*)$", text, re.M):
        names = ", ".join("-" + n for n in m.group(1).split("|"))
        out[plain(names + " " + m.group(2))] = plain(m.group(3))
    return out


def same(what, manual, helps):
    for name in sorted(set(manual) | set(helps)):
        if manual.get(name) != helps.get(name):
            raise run.Failure("%s: %r is in the manual %r, in help %r" % (
                what, name, manual.get(name), helps.get(name)))
    if len(helps) < 20:
        raise run.Failure("%s: only %d rows" % (what, len(helps)))


def compare(vmon, guest, page1, page7):
    render(page1)
    render(page7)
    same("options", manual_rows(page1, "OPTIONS"), option_rows(vmon))
    tmp = tempfile.mkdtemp(prefix="vmon-manual-")
    try:
        vm = run.Vmon(vmon, ["-S", "-m", "16", "-kernel", guest], tmp)
        same("commands", manual_rows(page7, "COMMANDS"), help_rows(vm.command("help")[0]))
        same("queries", manual_rows(page7, "QUERIES"),
             help_rows(vm.command("help info")[0], "info "))
        settings = manual_rows(page7, "SETTINGS")
        for line in vm.command("set")[0]:
            if line.split()[0] not in settings:
                raise run.Failure("the manual has no setting " + line)
        for name, text in manual_rows(page7, "WHAT IS NOT THERE").items():
            if " ".join(vm.command(name.split(", ")[0])[0]) != text:
                raise run.Failure("%s does not answer %r" % (name, text))
        vm.close()
    finally:
        shutil.rmtree(tmp)


def main():
    if not os.access(sys.argv[1], os.X_OK) or not shutil.which("groff"):
        print("skipped: there is no groff, or no", sys.argv[1])
        return 77
    try:
        compare(*sys.argv[1:5])
    except run.Failure as e:
        print(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
