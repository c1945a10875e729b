mongoose.connect(`mongodb+srv://admin:${password}@cluster0.mongodb.net/app`);
mongoose.connect('mongodb://localhost:27017/app');
