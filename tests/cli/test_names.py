"""``ph.train`` and ``ph.evaluate`` are functions, whatever was imported before."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("before", ["ph.build", "import phosphene.evaluate.score"])
def test_functions_that_share_a_name_with_a_floor_stay_callable(before):
    code = (
        f"import phosphene as ph\n{before}\n"
        "for call in (lambda: ph.train('vaee'), lambda: ph.evaluate('no/run'), "
        "lambda: ph.compare([], data='digits', budget='1s')):\n"
        "    try: call()\n"
        "    except ph.PhospheneError as error: print(error)\n"
        "import phosphene.train.folder as f, phosphene.evaluate.score\n"
        "assert f.Run is ph.Run and phosphene.evaluate.score.Score\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
