#!/usr/bin/env python3
"""plan_db_test or plan_explain_test against a private server: a seeded database with damaged shapes, plans compared with naive SQL, or with explain.

    plan_db.py PROGRAM [--posts N]
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from cluster import Cluster  # noqa: E402

NOW = 1_793_491_200_000  # the seed's end of time


def main():
    posts = sys.argv[sys.argv.index("--posts") + 1] if "--posts" in sys.argv else "10000"
    with Cluster() as pg:
        pg.createdb("mm")
        env = pg.env("mm")
        seed = [sys.executable, os.path.join(HERE, "..", "support", "seed.py"), "--db", "dbname=mm", "--posts", posts, "--seed", "1", "--legacy"]
        subprocess.run(seed, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        conninfo = f"host={env['PGHOST']} port={env['PGPORT']} user={env['PGUSER']} dbname=mm"
        return subprocess.run([sys.argv[1]], env=dict(env, MMR_TEST_CONNINFO=conninfo, MMR_TEST_NOW=str(NOW)), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
