module example.com/dissever-client

go 1.21
