module ringmap

go 1.26
