# glmnet behind a pipe. Reads (X, y) once from the folder of the first argument. Each line "name family threshold
# (un)grouped" asks for a path at the alphas in the file of that name; the answer is its CPU seconds, and a CSC matrix
# in the files name-rows, name-starts and name-entries: a column for each alpha, one response after another.
suppressMessages({library(glmnet); library(Matrix)})
# no early end of a path, and as many Newton steps as it takes
glmnet.control(fdev = 0, devmax = 1, mxit = 10000)
file_of <- function(name) file.path(commandArgs(trailingOnly = TRUE)[1], name)
numbers <- function(name) readBin(file_of(name), "double", file.size(file_of(name)) / 8)
integers <- function(name) readBin(file_of(name), "integer", file.size(file_of(name)) / 4)
# R's clock has milliseconds: short calls are repeated until they fill so many seconds
LEAST <- 0.05
shape <- integers("shape")
if (file.exists(file_of("starts"))) {
  X <- new("dgCMatrix", i = integers("rows"), p = integers("starts"), x = numbers("entries"), Dim = shape[1:2])
} else {
  X <- matrix(numbers("entries"), shape[1], shape[2])
}
y <- matrix(numbers("y"), shape[1], shape[3])
requests <- file("stdin", "r")
while (length(line <- readLines(requests, 1)) > 0) {
  words <- strsplit(line, " ")[[1]]
  name <- words[1]
  family <- words[2]
  target <- switch(family, cox = cbind(time = y[, 1], status = y[, 2]), mgaussian = y, multinomial = factor(y[, 1]), y[, 1])
  options <- list(x = X, y = target, family = family, lambda = numbers(name), thresh = as.numeric(words[3]),
                  standardize = FALSE, maxit = 1e6)
  if (family != "cox") options$intercept <- FALSE
  if (family == "multinomial") options$type.multinomial <- words[4]
  calls <- 0
  start <- proc.time()
  repeat {
    found <- do.call(glmnet, options)
    calls <- calls + 1
    spent <- sum((proc.time() - start)[1:2])
    if (spent >= LEAST) break
  }
  w <- if (is.list(found$beta)) do.call(cbind, found$beta) else found$beta
  writeBin(w@i, file_of(paste0(name, "-rows")))
  writeBin(w@p, file_of(paste0(name, "-starts")))
  writeBin(w@x, file_of(paste0(name, "-entries")))
  cat(sprintf("%.9f\n", spent / calls))
  flush(stdout())
}
