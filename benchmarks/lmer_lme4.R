# The lme4 side of the benchmark, in base R and lme4 only.
#   Rscript lmer_lme4.R export DATASET FOLDER                 a data set of lme4, as raw columns (see frames.py)
#   Rscript lmer_lme4.R fit FOLDER FORMULA REPEATS BUDGET OUT  times lmer(formula, data), result as JSON in OUT

write_frame <- function(frame, folder) {
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  kinds <- character()
  for (k in seq_along(frame)) {
    column <- frame[[k]]
    con <- file(file.path(folder, paste0(k - 1, ".bin")), "wb")
    if (is.factor(column)) {
      writeBin(as.integer(column), con, size = 4, endian = "little")
      writeLines(levels(column), file.path(folder, paste0(k - 1, ".levels")))
    } else {
      writeBin(as.double(column), con, size = 8, endian = "little")
    }
    close(con)
    kinds[k] <- if (is.ordered(column)) "ordered" else if (is.factor(column)) "factor" else "double"
  }
  writeLines(paste(names(frame), kinds, sep = "\t"), file.path(folder, "columns.tsv"))
}

read_frame <- function(folder) {
  spec <- strsplit(readLines(file.path(folder, "columns.tsv")), "\t")
  columns <- lapply(seq_along(spec), function(k) {
    path <- file.path(folder, paste0(k - 1, ".bin"))
    if (spec[[k]][2] == "double") {
      return(readBin(path, "double", file.size(path) / 8, size = 8, endian = "little"))
    }
    codes <- readBin(path, "integer", file.size(path) / 4, size = 4, endian = "little")
    attr(codes, "levels") <- readLines(file.path(folder, paste0(k - 1, ".levels")))
    class(codes) <- if (spec[[k]][2] == "ordered") c("ordered", "factor") else "factor"
    codes
  })
  names(columns) <- vapply(spec, `[`, "", 1)
  as.data.frame(columns, optional = TRUE)
}

json <- function(x) {
  if (is.null(x)) return("null")
  quoted <- function(s) paste0("\"", gsub("([\"\\\\])", "\\\\\\1", gsub("[[:cntrl:]]", " ", s)), "\"")
  if (is.list(x) && !is.null(names(x))) {
    return(paste0("{", paste0(quoted(names(x)), ": ", vapply(x, json, ""), collapse = ", "), "}"))
  }
  if (is.list(x)) return(paste0("[", paste(vapply(x, json, ""), collapse = ", "), "]"))
  if (is.character(x)) return(quoted(x))
  if (is.finite(x)) sprintf("%.17g", x) else "null"
}

status_mb <- function(field) {                     # VmRSS or VmHWM of this process; NULL where there is no /proc
  if (!file.exists("/proc/self/status")) return(NULL)
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

args <- commandArgs(trailingOnly = TRUE)
started <- as.numeric(Sys.time())
suppressPackageStartupMessages(library(lme4))
import_s <- as.numeric(Sys.time()) - started

if (args[1] == "export") {
  env <- new.env()
  data(list = args[2], package = "lme4", envir = env)
  write_frame(as.data.frame(env[[args[2]]]), args[3])
} else {
  frame <- read_frame(args[2])
  formula <- as.formula(args[3])
  repeats <- as.integer(args[4])
  budget <- as.numeric(args[5])
  warned <- character()
  fit <- NULL
  timed <- function(calls) {
    invisible(gc())
    cpu <- sum(proc.time()[1:2])
    wall <- as.numeric(Sys.time())
    for (i in seq_len(calls)) fit <<- lmer(formula, frame)
    list(wall = (as.numeric(Sys.time()) - wall) / calls, cpu = (sum(proc.time()[1:2]) - cpu) / calls)
  }
  loaded <- status_mb("VmRSS")
  try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)   # the high-water mark starts here
  first <- withCallingHandlers(
    timed(1),
    warning = function(w) { warned <<- c(warned, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(m) { warned <<- c(warned, conditionMessage(m)); invokeRestart("muffleMessage") }
  )
  repeats <- min(repeats, floor(budget / first$wall))
  quiet <- function(calls) suppressMessages(suppressWarnings(timed(calls)))
  calls <- 1
  if (first$wall < 5 && repeats > 0) {
    quiet(2)                                       # R compiles its functions to bytecode at their second call
    calls <- max(1, min(20, floor(0.1 / quiet(1)$wall)))
  }
  again <- lapply(seq_len(repeats), function(i) quiet(calls))
  versions <- list(R = paste(R.version$major, R.version$minor, sep = "."),
                   lme4 = as.character(packageVersion("lme4")), Matrix = as.character(packageVersion("Matrix")),
                   BLAS = basename(dirname(normalizePath(La_library()))))
  evaluations <- fit@optinfo$feval
  writeLines(json(list(
    import_s = import_s, first = first, repeats = again, calls = calls,
    loaded_mb = loaded, peak_mb = status_mb("VmHWM"),
    n = nobs(fit), kind = "REML", criterion = REMLcrit(fit), fixef = as.list(fixef(fit)),
    theta = as.list(unname(getME(fit, "theta"))), sigma = sigma(fit),
    evaluations = if (length(evaluations)) evaluations else NULL,
    warnings = as.list(warned), versions = versions
  )), args[6])
}
