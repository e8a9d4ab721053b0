-- Replies of each post that has some, of any age and in any channel: where a scan for a cut-off brought fewer, the thread
-- is younger (or damaged) and stays.  Columns: post id, rows that name it as their root.
-- Parameters: none.  Locks: none.  Index: (rootid, deleteat), index-only and in its order, by parallel workers: joining
-- it with what is older than the cut-off takes longer than giving all of them, a pass over posts for the younger replies
-- twice as long.
SELECT q.rootid, count(*) FROM posts q WHERE q.rootid > '' GROUP BY q.rootid
