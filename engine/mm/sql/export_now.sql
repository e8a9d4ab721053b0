-- Database clock at the start of the transaction, in ms.
SELECT (extract(epoch FROM now()) * 1000)::bigint
