"""Runs CPython's own regression tests and prints, per module, whether it ran or was skipped.

Arguments: modules to run; none means all of Debian's package but those below. A module that fails is tried again
alone (regrtest's -w), for a busy machine breaks timing tests; the exit status is regrtest's final verdict.
"""
import os
import re
import subprocess
import sys

# They test what is not there (a build tree, other systems), or fail on a plain Debian, or take minutes.
LEFT_OUT = """
    test_asyncio test_bigmem test_check_c_globals test_clinic test_cmd_line test_compileall test_concurrent_futures
    test_cppext test_curses test_distutils test_embed test_ensurepip test_faulthandler test_gdb test_idle test_imaplib
    test_io test_ioctl test_largefile test_launcher test_lib2to3 test_logging test_msilib test_multiprocessing_fork
    test_multiprocessing_forkserver test_multiprocessing_main_handling test_multiprocessing_spawn test_nntplib
    test_ossaudiodev test_peg_generator test_poll test_regrtest test_selectors test_signal test_smtpnet test_socket
    test_socketserver test_source_encoding test_ssl test_startfile test_subprocess test_tcl test_tix test_tk
    test_tokenize test_tools test_ttk_guionly test_ttk_textonly test_turtle test_urllib2net test_urllibnet test_venv
    test_winconsoleio test_winreg test_winsound test_xmlrpc test_xmlrpc_net test_zipfile64
""".split()

PROGRESS = re.compile(r"\] (test_\w+) (passed|failed|skipped)")

selection = sys.argv[1:] or ["-x", *LEFT_OUT]
command = [sys.executable, "-m", "test", "-j4", "-w", "--timeout", "120", "--tempdir", os.getcwd(), *selection]
finished = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")

verdicts = dict(PROGRESS.findall(finished.stdout))
for module in sorted(verdicts):
    print(module, "skipped" if verdicts[module] == "skipped" else "ran")
if finished.returncode != 0:
    sys.stderr.write(finished.stdout)
sys.exit(finished.returncode)
