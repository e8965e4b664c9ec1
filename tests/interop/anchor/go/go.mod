module meshbox.invalid/anchor

go 1.21
