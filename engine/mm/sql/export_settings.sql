-- Room for the joins and sorts of one unit; ends with the transaction.
SET LOCAL work_mem = '64MB'
