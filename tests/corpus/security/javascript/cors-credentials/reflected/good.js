import cors from 'cors';
app.use(cors({ origin: 'https://www.example.com', credentials: true }));
