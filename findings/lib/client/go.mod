module finding/client

go 1.26
